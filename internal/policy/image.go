package policy

import (
	"strconv"
	"strings"
)

// The rules about the images of containers.
const (
	ImageNotPinned = "image-not-pinned"
	PullPolicy     = "pull-policy"
)

func itoa(i int) string { return strconv.Itoa(i) }

// digestOf returns the digest of an image reference, and whether it is a real one:
// sha256 and 64 hexadecimal digits.
func digestOf(image string) (digest string, ok bool) {
	name, digest, found := strings.Cut(image, "@")
	if !found || name == "" {
		return digest, false
	}
	hex, ok := strings.CutPrefix(digest, "sha256:")
	if !ok || len(hex) != 64 {
		return digest, false
	}
	return digest, strings.Trim(hex, "0123456789abcdef") == ""
}

// tagOf returns the tag of an image reference without a digest; "latest" if it has
// none.
func tagOf(image string) string {
	name, _, _ := strings.Cut(image, "@")
	last := name[strings.LastIndexByte(name, '/')+1:]
	if _, tag, ok := strings.Cut(last, ":"); ok {
		return tag
	}
	return "latest"
}

// notPinned returns why an image is not pinned, or "".
func notPinned(image string) string {
	digest, ok := digestOf(image)
	switch {
	case ok:
		return ""
	case strings.HasPrefix(image, "@"):
		return "it has no name"
	case digest != "" || strings.HasSuffix(image, "@"):
		return strconv.Quote(digest) + " is not a digest: want sha256: and 64 hexadecimal digits"
	}
	return "the tag " + tagOf(image) + " can be moved to another image"
}

func imageNotPinned(c container, r *reporter) {
	image := c.value.Get("image")
	if image.Scalar() == "" {
		return // a part of a pod, which an operator completes
	}
	if why := notPinned(image.Scalar()); why != "" {
		r.at([]string{"image"}, "image %s is not pinned: %s", image.Scalar(), why)
		return
	}
	digest, _ := digestOf(image.Scalar())
	if index := c.content.childDigest(digest); index != "" {
		r.at([]string{"image"}, "image %s is pinned for one platform: nodes of others cannot run it; the index of all is %s", image.Scalar(), index)
	}
}

// volumeNotPinned is imageNotPinned for the images that a pod mounts.
func volumeNotPinned(p *pod, r *reporter) {
	for i, v := range p.spec.Get("volumes").Items() {
		image := v.Get("image", "reference")
		if image.Scalar() == "" {
			continue
		}
		if why := notPinned(image.Scalar()); why != "" {
			r.add(image, joinPath(p.path, "volumes")+"["+itoa(i)+"].image.reference", "image %s of volume %s is not pinned: %s", image.Scalar(), v.Get("name").Scalar(), why).about(v.Get("name").Scalar())
		}
	}
}

func pullPolicy(c container, r *reporter) {
	image, policy := c.value.Get("image").Scalar(), c.value.Get("imagePullPolicy").Text()
	if image == "" || policy == "" {
		return
	}
	_, pinned := digestOf(image)
	switch {
	case pinned && policy == "Always":
		r.at([]string{"imagePullPolicy"}, "imagePullPolicy is Always although the image is pinned: its content cannot change, and the pod cannot start while the registry is down").setTo("IfNotPresent")
	case !pinned && policy != "Always" && tagOf(image) == "latest":
		r.at([]string{"imagePullPolicy"}, "imagePullPolicy is %s although the tag latest moves: nodes run different images under one name", policy)
	}
}
