package cluster

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"time"
)

// writeFiles writes the files that the programs read, and returns a token with
// all permissions.
func (c *Cluster) writeFiles() (token string, err error) {
	token = rand.Text()
	if err := os.MkdirAll(c.path("cni"), 0o755); err != nil {
		return "", err
	}
	crt, key, err := certificate()
	if err != nil {
		return "", err
	}
	for name, content := range map[string]string{
		"tls.crt":         crt,
		"tls.key":         key,
		"tokens.csv":      token + `,admin,admin,"system:masters"` + "\n",
		"kubeconfig":      fmt.Sprintf(kubeconfig, apiURL, c.path("tls.crt"), token),
		"kubelet.yaml":    fmt.Sprintf(kubeletConfig, c.path("containerd.sock"), c.path("pod-logs")),
		"containerd.toml": c.containerdConfig(),
		"cni/pods.conflist": fmt.Sprintf(`{"cniVersion": "1.0.0", "name": "pods", "plugins": [
			{"type": "bridge", "bridge": "pods0", "isGateway": true,
			 "ipam": {"type": "host-local", "ranges": [[{"subnet": %q}]], "routes": [{"dst": "0.0.0.0/0"}], "dataDir": %q}},
			{"type": "loopback"}]}`, podRange, c.path("ipam")),
	} {
		if err := os.WriteFile(c.path(name), []byte(content), 0o600); err != nil {
			return "", err
		}
	}
	return token, nil
}

// certificate creates one key for everything: the API server's self-signed
// certificate, and the signatures of service account tokens.
func certificate() (crt, key string, err error) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", err
	}
	t := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "kubernetes"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:    []string{"kubernetes", "kubernetes.default", "kubernetes.default.svc"},
		IPAddresses: []net.IP{net.ParseIP(nodeIP), net.ParseIP("10.78.0.1")}, // the second is the service kubernetes
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, k.Public(), k)
	if err != nil {
		return "", "", err
	}
	private, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		return "", "", err
	}
	crt = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	key = string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: private}))
	return crt, key, nil
}

const kubeconfig = `apiVersion: v1
kind: Config
clusters: [{name: test, cluster: {server: %q, certificate-authority: %q}}]
users: [{name: admin, user: {token: %q}}]
contexts: [{name: test, context: {cluster: test, user: admin}}]
current-context: test
`

// kubeletConfig works with cgroups of version 1 and 2, and without the right to
// lower an OOM score. It disables evictions, because the disk of a test machine
// may be nearly full.
const kubeletConfig = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
containerRuntimeEndpoint: unix://%s
authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
authorization: {mode: AlwaysAllow}
cgroupDriver: cgroupfs
cgroupsPerQOS: false
enforceNodeAllocatable: []
failCgroupV1: false
failSwapOn: false
makeIPTablesUtilChains: false
oomScoreAdj: 0
imageGCHighThresholdPercent: 100
evictionHard: {memory.available: "1", nodefs.available: 0%%, nodefs.inodesFree: 0%%, imagefs.available: 0%%}
resolvConf: /etc/resolv.conf
podLogsDir: %s
`

func (c *Cluster) containerdConfig() string {
	return fmt.Sprintf(`version = 3
root = %q
state = %q
[grpc]
  address = %q
[ttrpc]
  address = %q
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = %q
[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
  [plugins.'io.containerd.cri.v1.runtime'.cni]
    bin_dirs = ["/usr/lib/cni", "/opt/cni/bin"]
    conf_dir = %q
  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
    runtime_type = 'io.containerd.runc.v2'
    [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
      Root = %q
`, c.path("containerd"), c.path("containerd-state"), c.path("containerd.sock"), c.path("containerd.sock.ttrpc"),
		c.opts.Pause, c.path("cni"), c.path("runc"))
}

func (c *Cluster) etcdArgs() []string {
	const client = "http://127.0.0.1:2379"
	return []string{
		"--data-dir", c.path("etcd"), "--listen-client-urls", client, "--advertise-client-urls", client,
		"--listen-peer-urls", "http://127.0.0.1:2380",
	}
}

func (c *Cluster) apiserverArgs() []string {
	return []string{
		"--etcd-servers=http://127.0.0.1:2379",
		"--bind-address=" + nodeIP, "--advertise-address=" + nodeIP,
		"--service-cluster-ip-range=" + serviceRange,
		"--cert-dir=" + c.path("apiserver"), "--tls-cert-file=" + c.path("tls.crt"), "--tls-private-key-file=" + c.path("tls.key"),
		"--token-auth-file=" + c.path("tokens.csv"), "--authorization-mode=RBAC",
		"--service-account-issuer=" + apiURL,
		"--service-account-key-file=" + c.path("tls.key"), "--service-account-signing-key-file=" + c.path("tls.key"),
		"--kubelet-preferred-address-types=InternalIP",
		"--allow-privileged=true",
	}
}

func (c *Cluster) controllerArgs() []string {
	return []string{
		"--kubeconfig=" + c.path("kubeconfig"), "--leader-elect=false", "--secure-port=0",
		"--root-ca-file=" + c.path("tls.crt"), "--service-account-private-key-file=" + c.path("tls.key"),
		"--use-service-account-credentials=false",
	}
}

func (c *Cluster) schedulerArgs() []string {
	return []string{"--kubeconfig=" + c.path("kubeconfig"), "--leader-elect=false", "--secure-port=0"}
}

func (c *Cluster) kubeletArgs() []string {
	return []string{
		"--kubeconfig=" + c.path("kubeconfig"), "--config=" + c.path("kubelet.yaml"), "--root-dir=" + c.path("kubelet"),
		"--hostname-override=" + nodeName, "--node-ip=" + nodeIP,
	}
}
