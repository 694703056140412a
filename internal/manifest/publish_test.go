package manifest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParsePublication(t *testing.T) {
	for in, want := range map[string]string{
		"80": "80:80/tcp", "8080:80": "8080:80/tcp", "127.0.0.1:8080:80/udp": "127.0.0.1:8080:80/udp", "127.0.0.1:53/UDP": "127.0.0.1:53:53/udp",
		"0": `"0" is no port`, "": `"" is no port`, ":80": `"" is no port`, "80:": `"" is no port`, "70000:80": `"70000" is no port`, "-1:80": `"-1" is no port`,
		"1:2:3": "too many parts", "1.2.3:80": "no IPv4 address", "[::1]:80:80": "too many parts", "80/xyz": "neither tcp, udp nor sctp", "80/": "neither",
	} {
		p, err := ParsePublication(in)
		got := p.String()
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, want) {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
	}
}

func TestPublish(t *testing.T) {
	const web = "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec:\n  containers:\n  - {name: web, image: web, ports: [{containerPort: 80}, {containerPort: 80, protocol: UDP}]}\n"
	const db = "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: db}\nspec:\n  selector: {matchLabels: {app: db}}\n  template:\n    metadata: {labels: {app: db}}\n" +
		"    spec: {containers: [{name: db, image: db, ports: [{containerPort: 5432, hostPort: 1}]}]}\n"
	host := strings.Replace(web, "spec:\n", "spec:\n  hostNetwork: true\n", 1)
	for _, tt := range []struct{ name, text, publish, want string }{
		{"declared", web, "8080:80", "Pod web 8080:80/TCP"},
		{"declared for another protocol", web, "8080:80/udp", "Pod web 8080:80/UDP"},
		{"not declared", web, "127.0.0.1:9090", "Pod web 127.0.0.1:9090:9090/TCP"},
		{"of one of two", web + db, "5433:5432 80", "Pod web 80:80/TCP, Deployment db 5433:5432/TCP"},
		{"of none of two", web + db, "9090", "no container declares this port, and it could be one of Pod/web, Deployment/db"},
		{"of two", web + "---\n" + strings.Replace(web, "name: web}\nspec", "name: web2}\nspec", 1), "80", "Pod/web and Pod/web2 have this port"},
		{"twice", web, "80 127.0.0.1:80:81", "port 80 of the machine is published twice"},
		{"on two addresses", web, "127.0.0.1:80:80 127.0.0.2:80:81", "Pod web 127.0.0.1:80:80/TCP 127.0.0.2:80:81/TCP"},
		{"on the machine's network", host, "8080:80", "Pod/web is on the machine's network"},
		{"no pod", "{apiVersion: v1, kind: ConfigMap, metadata: {name: x}}", "80", "the manifest has no pods"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, err := Parse("web.yaml", []byte(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			var list []Publication
			for _, s := range strings.Fields(tt.publish) {
				p, err := ParsePublication(s)
				if err != nil {
					t.Fatal(err)
				}
				list = append(list, p)
			}
			before := publishedPorts(f)
			published, err := f.Publish(list)
			if err != nil {
				if !strings.Contains(err.Error(), tt.want) {
					t.Errorf("got %v, want %s", err, tt.want)
				}
				return
			}
			if diff := cmp.Diff(publishedPorts(published), tt.want); diff != "" {
				t.Errorf("-got +want\n%s", diff)
			}
			if diff := cmp.Diff(publishedPorts(f), before); diff != "" {
				t.Errorf("the file itself has changed: -got +want\n%s", diff)
			}
		})
	}
}

// publishedPorts lists the ports of the machine of all workloads.
func publishedPorts(f File) string {
	var all []string
	for _, w := range f.Workloads() {
		line := w.Kind + " " + w.Name
		for _, p := range w.Template.Spec.Containers[0].Ports {
			if p.HostPort == 0 {
				continue
			}
			line += " "
			if p.HostIP != "" {
				line += p.HostIP + ":"
			}
			line += fmt.Sprintf("%d:%d/%s", p.HostPort, p.ContainerPort, p.Protocol)
		}
		all = append(all, line)
	}
	return strings.Join(all, ", ")
}
