// Package document defines the API version, the kinds and the header that all
// documents share, both those of -o json and those that commands read. The
// types of their contents are in the packages of the domains and in report.
package document

// APIVersion is the version of all documents. Within it, fields may be added but
// not removed or changed.
const APIVersion = "adamant.sh/v1"

// The kinds of documents. Each has a JSON Schema in docs/reference/schemas.
const (
	ApplyResult        = "ApplyResult"
	CheckBaseline      = "CheckBaseline"
	CheckReport        = "CheckReport"
	ClaimList          = "ClaimList"
	ClusterApplyResult = "ClusterApplyResult"
	ClusterDiff        = "ClusterDiff"
	ClusterHistory     = "ClusterHistory"
	ClusterStatus      = "ClusterStatus"
	CopyUpImage        = "CopyUpImage"
	DriftReport        = "DriftReport"
	DriftReportList    = "DriftReportList"
	Event              = "Event"
	EventList          = "EventList"
	History            = "History"
	ImageList          = "ImageList"
	LessonList         = "LessonList"
	Machine            = "Machine"
	PodList            = "PodList"
	Profile            = "Profile"
	Proof              = "Proof"
	ProofList          = "ProofList"
	RuleList           = "RuleList"
	SealedManifest     = "SealedManifest"
	SealedManifestList = "SealedManifestList"
	ServeConfig        = "ServeConfig"
	ServerCapture      = "ServerCapture"
	ServerComparison   = "ServerComparison"
	ServerHistory      = "ServerHistory"
	ServerList         = "ServerList"
	ServerPlan         = "ServerPlan"
	ServerReplacement  = "ServerReplacement"
	ServerSnapshot     = "ServerSnapshotSummary"
	ServerUpdate       = "ServerUpdate"
	ServerWatch        = "ServerWatch"
	Version            = "Version"
	Workload           = "Workload"
	WorkloadList       = "WorkloadList"
)

// Header is the beginning of each document.
type Header struct {
	APIVersion string `json:"apiVersion"` // "adamant.sh/v1"
	Kind       string `json:"kind"`
}

// NewHeader returns the header of a document of a kind.
func NewHeader(kind string) Header { return Header{APIVersion, kind} }

// List is a document that holds items of one type.
type List[T any] struct {
	Header
	Items []T `json:"items"`
}

// NewList returns a list. Its items are never null in JSON.
func NewList[T any](kind string, items []T) List[T] {
	if items == nil {
		items = []T{}
	}
	return List[T]{NewHeader(kind), items}
}
