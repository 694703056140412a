package local

import "github.com/adamant-sh/adamant/internal/document"

// A Document is the document of `status -o json`: a workload with its instances.
type Document struct {
	document.Header
	Workload Status `json:"workload"`
}

// NewDocument returns the document of a workload.
func NewDocument(s Status) Document { return Document{document.NewHeader(document.Workload), s} }

// HistoryDocument is the document of `rollout history -o json`.
type HistoryDocument struct {
	document.Header
	History History `json:"history"`
}

// OutcomeDocument is the document of `apply -o json` and `diff -o json`.
type OutcomeDocument struct {
	document.Header
	Outcome
}
