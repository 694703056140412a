// Command hostile is a program that behaves badly in the way that its first
// argument names. Unless that way ends the program, it then waits for its end.
package main

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const app = "/var/lib/app"

// ways are the kinds of bad behavior.
var ways = map[string]func(args []string){
	"wait":     func([]string) {},
	"exit":     func(args []string) { os.Exit(len(args)) },
	"write":    write,
	"forks":    func([]string) { forks() },
	"fill":     func(args []string) { fill(args[0]) },
	"unlink":   func([]string) { unlinkSelf() },
	"crash":    func([]string) { crash() },
	"late":     func([]string) { late() },
	"daemon":   func([]string) { start("detached") },
	"detached": func([]string) { start("grandchild"); os.Exit(0) },
	"grandchild": func([]string) {
		write([]string{app + "/daemon.pid"})
	},
	"stubborn": func([]string) { signal.Ignore(syscall.SIGTERM) },
	"temps":    func([]string) { temps() },
	"names":    func([]string) { names() },
	"swap":     func([]string) { swap() },
	"fifo":     func([]string) { replace(func(p string) error { return syscall.Mkfifo(p, 0o600) }) },
	"device": func([]string) {
		replace(func(p string) error { return syscall.Mknod(p, syscall.S_IFCHR|0o600, 1<<8|3) })
	},
	"setuid": func([]string) { run("/setuid", "write", "/var/lib/root/x") },
	"ring":   func([]string) { ring() },
}

func main() {
	way, ok := ways[os.Args[1]]
	if !ok {
		fail("no way %q", os.Args[1])
	}
	way(os.Args[2:])
	if base := filepath.Base(os.Args[0]); base == "setuid" || os.Args[1] == "write" && len(os.Args) > 3 && os.Args[3] == "once" {
		return
	}
	for {
		syscall.Pause()
	}
}

func fail(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
	os.Exit(1)
}

func must(err error) {
	if err != nil {
		fail("%v", err)
	}
}

func write(args []string) { must(os.WriteFile(args[0], []byte("x"), 0o644)) }

func start(way string) {
	cmd := exec.Command("/proc/self/exe", way)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	must(cmd.Start())
}

func run(argv ...string) {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	must(cmd.Run())
}

// forks creates children without end, and continues when the kernel refuses
// another.
func forks() {
	for {
		if err := exec.Command("/proc/self/exe", "wait").Start(); err != nil {
			time.Sleep(20 * time.Millisecond)
		}
	}
}

// fill writes until the disk is full, and continues.
func fill(path string) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o644)
	must(err)
	block := make([]byte, 1<<20)
	for {
		if _, err := f.Write(block); err != nil {
			time.Sleep(20 * time.Millisecond)
		}
	}
}

func unlinkSelf() {
	must(os.Remove("/hostile"))
	must(os.WriteFile("/hostile", []byte("#!/nothing\n"), 0o755))
}

func crash() {
	http.ListenAndServe(":8080", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			os.Exit(7)
		}
	}))
}

// late begins to serve later if its root is read-only, which it asks for without a call
// that fails.
func late() {
	var fs syscall.Statfs_t
	must(syscall.Statfs("/", &fs))
	if fs.Flags&syscall.MS_RDONLY != 0 {
		time.Sleep(16 * time.Second)
	}
	http.ListenAndServe(":8080", http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
}

func random() string {
	var b [12]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// temps creates and removes files and directories of random names.
func temps() {
	for end := time.Now().Add(3 * time.Second); time.Now().Before(end); {
		name := "/var/tmp/" + random()
		must(os.WriteFile(name, nil, 0o600))
		must(os.Remove(name))
		must(os.MkdirAll(name+"/"+random(), 0o700))
		must(os.RemoveAll(name))
	}
}

func names() {
	for _, name := range []string{
		"line\nbreak", "\x1b[31mred\x1b]0;title\a", "\xff\xfe not UTF-8", "\u202egnp.exe", strings.Repeat("n", 255),
		"a:b", "*", "# comment", "- dash", " space ", `back\slash`, `"quoted" 'twice'`, "key: value", "%s%n", "...", "~", "null",
	} {
		must(os.WriteFile(filepath.Join(app, name), nil, 0o644))
	}
	must(os.MkdirAll("/srv/we\nird\x1b[2J/dir", 0o755))
	must(os.WriteFile("/srv/we\nird\x1b[2J/dir/file", nil, 0o644))
	must(os.Chdir(app))
	for range 30 { // deeper than a path can name
		dir := strings.Repeat("d", 200)
		if err := os.Mkdir(dir, 0o755); !os.IsExist(err) { // as after a restart
			must(err)
		}
		must(os.Chdir(dir))
	}
	must(os.WriteFile("deep", nil, 0o644))
	must(os.Chdir("/"))
}

// swap writes through a symbolic link that another goroutine replaces all the
// time.
func swap() {
	link := app + "/link"
	must(os.MkdirAll(app+"/one", 0o755))
	os.Remove(link) // of the run before a restart
	must(os.Symlink("one", link))
	go func() {
		for i := 0; ; i++ {
			target := []string{"one", "/etc/app"}[i%2]
			os.Symlink(target, link+".new")
			os.Rename(link+".new", link)
		}
	}()
	for end := time.Now().Add(time.Second); time.Now().Before(end); {
		os.WriteFile(link+"/x", nil, 0o644)
	}
}

// replace replaces a regular file of the image by an entry of another kind.
func replace(make func(path string) error) {
	must(os.Remove("/etc/app/app.conf"))
	must(make("/etc/app/app.conf"))
	os.Remove(app + "/made") // of the run before a restart
	must(make(app + "/made"))
}
