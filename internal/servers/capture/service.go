package capture

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/adamant-sh/adamant/internal/image"
	"github.com/adamant-sh/adamant/internal/servers/facts"
)

// findServices turns the enabled units into services, and lists the skipped ones.
func (s *survey) findServices() error {
	skipped := map[string][]string{}
	for _, name := range s.enabledUnits() {
		if class := skippedClass(name); class != "" {
			skipped[class] = append(skipped[class], name)
			continue
		}
		u, ok, err := loadUnit(s.root, name)
		if err != nil {
			return fmt.Errorf("read unit %s: %w", name, err)
		}
		if !ok {
			u, ok = s.initScript(name)
		}
		if !ok {
			s.addLoss(name, "it is enabled, and there is no such unit", "")
			continue
		}
		if err := s.addService(u); err != nil {
			s.addLoss(u.name, err.Error(), hintOf(err))
		}
	}
	for _, class := range slices.Sorted(maps.Keys(skipped)) {
		s.plan.Skipped = append(s.plan.Skipped, Skipped{class, skipped[class]})
	}
	return nil
}

// errNotCaptured is returned for a unit that cannot become a Deployment. It has a
// hint for the user.
type errNotCaptured struct{ why, hint string }

func (e errNotCaptured) Error() string { return e.why }

func hintOf(err error) string {
	var e errNotCaptured
	errors.As(err, &e)
	return e.hint
}

// dynamicUID is the first UID that systemd uses for DynamicUser=.
const dynamicUID = 61184

// addService adds the service of a unit, unless it was added under another name.
func (s *survey) addService(u unit) error {
	service, err := s.serviceOf(u)
	if err != nil {
		return err
	}
	for _, other := range s.plan.Services {
		if other.Unit == service.Unit {
			return nil // an alias
		}
		if other.Name == service.Name {
			return errNotCaptured{"as a workload it would have the name of " + other.Unit, "rename one of them"}
		}
	}
	s.plan.Services = append(s.plan.Services, service)
	s.units = append(s.units, u)
	return nil
}

func (s *survey) serviceOf(u unit) (Service, error) {
	v := Service{Name: labelOf(u.stem()), Unit: u.name, Package: s.packageOf(u.files[0]), StopSignal: u.last("KillSignal")}
	var err error
	if v.Env, err = s.environment(&u); err != nil {
		return v, err
	}
	if v.Command, err = command(&u, v.Env); err != nil {
		return v, err
	}
	if v.User, err = u.expand(u.last("User")); err != nil {
		return v, err
	}
	if path.Base(v.Command[0]) == "postgres" && v.User == "" {
		v.User = "postgres" // pg_ctlcluster would have switched to it
	}
	if err := s.setUser(&v, &u); err != nil {
		return v, err
	}
	if v.WorkingDir, err = u.expand(strings.TrimPrefix(u.last("WorkingDirectory"), "-")); err != nil {
		return v, err
	}
	if v.WorkingDir == "~" {
		v.WorkingDir = ""
	}
	return v, nil
}

// setUser sets the UID, the GID and the groups of a service's user from the
// server's own files.
func (s *survey) setUser(v *Service, u *unit) error {
	group := u.last("Group")
	spec := v.User
	if group != "" {
		spec = cmp.Or(v.User, "root") + ":" + group
	}
	user, err := image.LookupUser(spec, s.passwd, s.group)
	switch {
	case errors.Is(err, image.ErrNoUser) && u.last("DynamicUser") == "yes":
		v.UID, v.GID = dynamicUID, dynamicUID
		return nil
	case err != nil:
		return err
	}
	v.UID, v.GID, v.Groups = user.UID, user.GID, user.Groups
	for _, name := range u.words("SupplementaryGroups") {
		more, err := image.LookupUser("root:"+name, s.passwd, s.group)
		if err != nil {
			return err
		}
		v.Groups = append(v.Groups, more.GID)
	}
	slices.Sort(v.Groups)
	v.Groups = slices.Compact(v.Groups)
	return nil
}

// command returns the command of a unit, changed so that it stays in the
// foreground.
func command(u *unit, env []Variable) ([]string, error) {
	kind := cmp.Or(u.last("Type"), "simple")
	starts := u.all("ExecStart")
	switch {
	case kind == "oneshot":
		return nil, errNotCaptured{"it runs once and ends (Type=oneshot)", "make it a Job, or an init container of the service that needs it"}
	case kind == "dbus" || u.last("BusName") != "":
		return nil, errNotCaptured{"it is reached over D-Bus, which a container has not", ""}
	case len(starts) != 1:
		return nil, errNotCaptured{fmt.Sprintf("it has %d commands to start", len(starts)), ""}
	}
	line, err := u.expand(strings.TrimLeft(starts[0], "@-:+!|"))
	if err != nil {
		return nil, err
	}
	words, err := splitWords(line)
	if err != nil {
		return nil, err
	}
	if strings.Contains(starts[0][:len(starts[0])-len(strings.TrimLeft(starts[0], "@-:+!|"))], "@") && len(words) > 1 {
		words = slices.Delete(words, 1, 2) // with "@" the second word is argv[0]
	}
	words = substitute(words, env)
	if len(words) == 0 || words[0] == "" {
		return nil, errNotCaptured{"its command is empty", ""}
	}
	if kind != "forking" {
		return words, nil
	}
	d, known := daemonOf(words[0])
	if known && d.foreground != nil {
		words = d.foreground(words)
	}
	if !known || d.foreground == nil || len(words) == 0 {
		return nil, errNotCaptured{
			"it goes to the background (Type=forking), and how it stays in the foreground is not known",
			"give the unit a command that stays, and Type=simple",
		}
	}
	return words, nil
}

// initScript returns a unit for an init script of System V. The program is taken
// from its variable DAEMON, which Debian's scripts set.
func (s *survey) initScript(name string) (unit, bool) {
	u := unit{name: name, settings: map[string][]string{}}
	file := "/etc/init.d/" + u.stem()
	text, err := readText(s.root, file)
	if err != nil {
		return u, false
	}
	u.files = []string{file}
	// An init script returns after the start, so the program must fork; command
	// accepts it only if it is known how it stays in the foreground.
	u.settings["Service.Type"] = []string{"forking"}
	for line := range strings.Lines(text) {
		if program, ok := strings.CutPrefix(strings.TrimSpace(line), "DAEMON="); ok {
			u.settings["Service.ExecStart"] = []string{program}
			break
		}
	}
	return u, true
}

// labelOf turns the name of a unit into a DNS label of at most 50 characters, which
// leaves room for suffixes.
func labelOf(stem string) string {
	label := Label(stem)
	return strings.Trim(label[:min(len(label), 50)], "-")
}

// Label turns a name into lower-case ASCII letters, digits and dashes, which names of
// images and Kubernetes objects may have.
func Label(name string) string {
	return strings.Trim(strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		}
		return '-'
	}, name), "-")
}

// packageOf returns the package of a file, empty if no package contains it.
func (s *survey) packageOf(file string) string {
	pkg, _ := s.owners.Of(file)
	return pkg
}

// enabledUnits returns the units that start by themselves, by name. In the place of
// postgresql.service, which does nothing, it returns the units of the clusters that
// a systemd generator enables.
func (s *survey) enabledUnits() []string {
	var names []string
	for _, f := range s.facts {
		switch {
		case f.Section != facts.Service || f.Value != "enabled":
		case f.Key == "postgresql.service":
			names = append(names, s.postgresClusters()...)
		default:
			names = append(names, f.Key)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// postgresClusters returns the units of the clusters in
// /etc/postgresql/VERSION/CLUSTER that start by themselves.
func (s *survey) postgresClusters() []string {
	var names []string
	versions, _ := s.root.ReadDir("/etc/postgresql") // missing if there is no cluster
	for _, v := range versions {
		clusters, _ := s.root.ReadDir(v.Path)
		for _, c := range clusters {
			if slices.Contains(textLines(s.root, c.Path+"/start.conf"), "auto") {
				names = append(names, "postgresql@"+path.Base(v.Path)+"-"+path.Base(c.Path)+".service")
			}
		}
	}
	return names
}
