package compare

import "strings"

// A Side is servers on which a path or a fact is the same.
type Side struct {
	Servers []string `json:"servers"`
	Absent  bool     `json:"absent,omitempty"` // they do not have it
}

// sides groups the servers by value, in their order. Those that lack it are the last.
func (m majority) sides(values map[string]string) []Side {
	var list []Side
	var lacking Side
	index := map[string]int{}
	for _, s := range m.servers {
		v, has := values[s]
		if !has {
			lacking.Servers, lacking.Absent = append(lacking.Servers, s), true
			continue
		}
		i, known := index[v]
		if !known {
			i = len(list)
			index[v] = i
			list = append(list, Side{})
		}
		list[i].Servers = append(list[i].Servers, s)
	}
	if lacking.Absent {
		list = append(list, lacking)
	}
	return list
}

// Where returns on which servers a path differs: those that deviate from most, or each
// side of a split with its servers.
func (d Difference) Where() string {
	if !d.Split {
		return "on " + strings.Join(d.Odd, ", ")
	}
	var with []string
	without := ""
	for _, s := range d.Sides {
		if s.Absent {
			without = strings.Join(s.Servers, ", ")
		} else {
			with = append(with, strings.Join(s.Servers, ", "))
		}
	}
	text := "split: only on " + strings.Join(with, "")
	if len(with) > 1 {
		text = "split: on " + strings.Join(with, " against ")
	}
	if without != "" {
		text += ", not on " + without
	}
	return text
}

// sideOf returns the names of the servers that agree with a server.
func (d Difference) sideOf(server string) string {
	var names []string
	for _, s := range d.Sides {
		for _, name := range s.Servers {
			if name == server {
				names = s.Servers
			}
		}
	}
	return strings.Join(names, ", ")
}
