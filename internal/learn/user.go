package learn

import (
	"io"
	"strconv"

	corev1 "k8s.io/api/core/v1"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/image"
	"github.com/adamant-sh/adamant/internal/learn/profile"
)

// maxAccounts is how much of an image's passwd and group files is read, in
// bytes.
const maxAccounts = 1 << 20

// userOf returns the user and groups of a container's first process: from its
// security context, its pod's, or its image, whose passwd and group files
// resolve names.
func userOf(spec *corev1.PodSpec, c *corev1.Container, imageUser string, root *rootfs.Root) (profile.User, error) {
	name := imageUser
	if uid := runAs(spec, c); uid != nil {
		name = strconv.FormatInt(*uid, 10)
	}
	u, err := image.LookupUser(name, accounts(root, "/etc/passwd"), accounts(root, "/etc/group"))
	if err != nil {
		return profile.User{}, err
	}
	user := profile.User{UID: u.UID, GID: u.GID, Groups: u.Groups}
	if pod := spec.SecurityContext; pod != nil {
		for _, g := range pod.SupplementalGroups {
			user.Groups = append(user.Groups, uint32(g))
		}
		// A kubelet adds fsGroup to the groups of every process.
		if pod.FSGroup != nil {
			user.Groups = append(user.Groups, uint32(*pod.FSGroup))
		}
		if pod.RunAsGroup != nil {
			user.GID = uint32(*pod.RunAsGroup)
		}
	}
	if c.SecurityContext != nil && c.SecurityContext.RunAsGroup != nil {
		user.GID = uint32(*c.SecurityContext.RunAsGroup)
	}
	return user, nil
}

func runAs(spec *corev1.PodSpec, c *corev1.Container) *int64 {
	if c.SecurityContext != nil && c.SecurityContext.RunAsUser != nil {
		return c.SecurityContext.RunAsUser
	}
	if spec.SecurityContext != nil {
		return spec.SecurityContext.RunAsUser
	}
	return nil
}

// accounts reads an image's passwd or group file, which need not exist.
func accounts(root *rootfs.Root, path string) []byte {
	f, err := root.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxAccounts))
	if err != nil {
		return nil
	}
	return data
}
