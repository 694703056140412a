package sshd

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// A Repository is a repository of Debian packages, which the lab's servers
// reach over HTTP. It ends with the lab.
type Repository struct {
	URL string

	lab  *Lab
	dir  string
	mu   sync.Mutex
	debs []string // paragraphs of Packages
}

// A Deb describes a package to build.
type Deb struct {
	Name, Version string
	Depends       string            // as in its control file
	Files         map[string]string // content by absolute path
	Conffiles     []string
	Postinst      string // a script without its #! line
}

// Repository starts an empty repository.
func (l *Lab) Repository() *Repository {
	l.t.Helper()
	r := &Repository{lab: l, dir: l.t.TempDir()}
	listener, err := net.Listen("tcp", l.address(254).String()+":0")
	if err != nil {
		l.t.Fatalf("sshd: repository: %v", err)
	}
	files := http.FileServer(http.Dir(r.dir))
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		req.URL.Path = path.Clean(req.URL.Path) // apt asks for /./Packages
		if req.URL.Path != "/Packages" {
			files.ServeHTTP(w, req)
			return
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		fmt.Fprint(w, strings.Join(r.debs, "\n"))
	})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener) // ends with Close
	}()
	l.t.Cleanup(func() {
		server.Close()
		<-done
	})
	r.URL = "http://" + listener.Addr().String()
	return r
}

// Add builds a package and adds it to the repository.
func (r *Repository) Add(d Deb) {
	r.lab.t.Helper()
	if err := r.add(d); err != nil {
		r.lab.t.Fatalf("sshd: package %s: %v", d.Name, err)
	}
}

func (r *Repository) add(d Deb) error {
	tree := filepath.Join(r.dir, ".build", d.Name)
	defer os.RemoveAll(tree)
	control := fmt.Sprintf("Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: Lab <lab@example.org>\nDescription: of the lab\n", d.Name, d.Version)
	if d.Depends != "" {
		control += "Depends: " + d.Depends + "\n"
	}
	files := map[string]string{"DEBIAN/control": control}
	if len(d.Conffiles) > 0 {
		files["DEBIAN/conffiles"] = strings.Join(d.Conffiles, "\n") + "\n"
	}
	if d.Postinst != "" {
		files["DEBIAN/postinst"] = "#!/bin/sh\nset -e\n" + d.Postinst + "\n"
	}
	maps.Copy(files, d.Files)
	for name, content := range files {
		mode := os.FileMode(0o644)
		if name == "DEBIAN/postinst" || strings.Contains(name, "/bin/") {
			mode = 0o755
		}
		full := filepath.Join(tree, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(full, []byte(content), mode); err != nil {
			return err
		}
	}
	if err := run("sh", "-c", `cd "$0" && find . -type f ! -path './DEBIAN/*' -printf '%P\0' | xargs -0r md5sum >DEBIAN/md5sums`, tree); err != nil {
		return err
	}
	deb := fmt.Sprintf("%s_%s_all.deb", d.Name, d.Version)
	if err := run("dpkg-deb", "--build", "--root-owner-group", tree, filepath.Join(r.dir, deb)); err != nil {
		return err
	}
	content, err := os.ReadFile(filepath.Join(r.dir, deb))
	if err != nil {
		return err
	}
	where := fmt.Sprintf("Filename: ./%s\nSize: %d\nSHA256: %x\n", deb, len(content), sha256.Sum256(content))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.debs = append(r.debs, control+where)
	return nil
}

// AddWeb adds the packages for updates: web 1.0 and 1.1, each of which needs
// libweb of its version, and broken, whose installation fails half-way.
func (r *Repository) AddWeb() {
	for _, version := range []string{"1.0", "1.1"} {
		r.Add(Deb{Name: "libweb", Version: version, Files: map[string]string{"/usr/lib/libweb": "library " + version}})
		r.Add(Deb{Name: "web", Version: version, Depends: "libweb (>= " + version + ")", Conffiles: []string{"/etc/web.conf"},
			Files: map[string]string{
				"/usr/bin/web": "#!/bin/sh\necho web " + version + "\n", "/usr/share/web/index.html": "web " + version + "\n",
				"/etc/web.conf": "listen 80\n",
			}})
	}
	r.Add(Deb{Name: "broken", Version: "1.0", Files: map[string]string{"/usr/share/broken": "x"}, Postinst: "echo no luck >&2; exit 3"})
}

// Remove removes a package from the repository.
func (r *Repository) Remove(name, version string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.debs = slices.DeleteFunc(r.debs, func(d string) bool {
		return strings.HasPrefix(d, fmt.Sprintf("Package: %s\nVersion: %s\n", name, version))
	})
}

// Use makes the repository the only one of a server.
func (s *Server) Use(r *Repository) {
	s.lab.t.Helper()
	s.Exec("sh", "-c", "rm -rf /etc/apt/sources.list.d/* && echo 'deb [trusted=yes] "+r.URL+" ./' >/etc/apt/sources.list && apt-get -q update")
}
