package image

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"path"
	"slices"
	"strings"
)

// A Credential is a user name and password, or a token, for images of a registry.
type Credential struct {
	Username, Password string
	IdentityToken      string

	host string // may have * in place of a label or a part of one
	path string // prefix of repositories; may be empty
}

// A Keyring holds the credentials of several files and Secrets.
type Keyring []Credential

// Errors about a Secret. They do not quote it, because they are shown and stored.
var (
	errDockerConfig = errors.New("its content is not the JSON of a docker configuration")
	errDockerAuth   = errors.New(`an "auth" of it is not base64 of USER:PASSWORD`)
)

// maxDockerConfig is the limit of the size of a Secret, in bytes.
const maxDockerConfig = 1 << 20

type dockerAuth struct {
	Username      string `json:"username"`
	Password      string `json:"password"`
	Auth          string `json:"auth"`
	IdentityToken string `json:"identitytoken"`
}

// Add adds the credentials of a Secret, by its type: kubernetes.io/dockerconfigjson or
// kubernetes.io/dockercfg. Like a kubelet it ignores Secrets of other types.
func (k *Keyring) Add(secretType string, data map[string][]byte) error {
	auths := map[string]dockerAuth{}
	switch secretType {
	case "kubernetes.io/dockerconfigjson":
		var config struct {
			Auths map[string]dockerAuth `json:"auths"`
		}
		if err := decodeDockerConfig(data[".dockerconfigjson"], &config); err != nil {
			return err
		}
		auths = config.Auths
	case "kubernetes.io/dockercfg":
		if err := decodeDockerConfig(data[".dockercfg"], &auths); err != nil {
			return err
		}
	}
	for server, a := range auths {
		c := Credential{Username: a.Username, Password: a.Password, IdentityToken: a.IdentityToken}
		if a.Auth != "" {
			decoded, err := base64.StdEncoding.DecodeString(a.Auth)
			user, password, ok := strings.Cut(strings.TrimRight(string(decoded), "\x00"), ":")
			if err != nil || !ok {
				return errDockerAuth
			}
			c.Username, c.Password = user, password
		}
		c.host, c.path = splitServer(server)
		*k = append(*k, c)
	}
	return nil
}

func decodeDockerConfig(data []byte, into any) error {
	if len(data) > maxDockerConfig || json.Unmarshal(data, into) != nil {
		return errDockerConfig
	}
	return nil
}

// splitServer returns the host and the path of a key of a docker configuration, which may
// be a URL with the version of the registry's API: "https://index.docker.io/v1/".
func splitServer(server string) (host, repository string) {
	server = strings.TrimPrefix(strings.TrimPrefix(server, "https://"), "http://")
	host, repository, _ = strings.Cut(server, "/")
	repository = strings.Trim(repository, "/")
	for _, version := range []string{"v1", "v2"} {
		if repository == version {
			repository = ""
		} else if rest, ok := strings.CutPrefix(repository, version+"/"); ok {
			repository = rest
		}
	}
	if host == "index.docker.io" || host == "registry-1.docker.io" {
		host = "docker.io"
	}
	return host, repository
}

// For returns the credentials for an image by the rules of a kubelet
// (k8s.io/kubernetes/pkg/credentialprovider/keyring.go): of the hosts and paths that match
// the most specific first, and several of one as they were added.
func (k Keyring) For(ref Reference) []Credential {
	host, repository, _ := strings.Cut(ref.Name(), "/")
	repository, _, _ = strings.Cut(repository, "@")
	if i := strings.LastIndex(repository, ":"); i >= 0 {
		repository = repository[:i]
	}
	var found []Credential
	for _, c := range k {
		isBelow := c.path == "" || strings.HasPrefix(repository, c.path)
		if isBelow && matchesHost(c.host, host) {
			found = append(found, c)
		}
	}
	slices.SortStableFunc(found, func(a, b Credential) int {
		return cmp.Or(cmp.Compare(len(b.path), len(a.path)), cmp.Compare(strings.Count(a.host, "*"), strings.Count(b.host, "*")))
	})
	return found
}

// matchesHost reports whether a host and port match a pattern, label by label.
func matchesHost(pattern, host string) bool {
	patternName, patternPort, _ := strings.Cut(pattern, ":")
	name, port, _ := strings.Cut(host, ":")
	patterns, labels := strings.Split(patternName, "."), strings.Split(name, ".")
	if patternPort != port || len(patterns) != len(labels) {
		return false
	}
	for i, p := range patterns {
		if ok, err := path.Match(p, labels[i]); err != nil || !ok {
			return false
		}
	}
	return true
}
