package report

import "github.com/adamant-sh/adamant/internal/document"

// Machine is the document of `doctor -o json`.
type Machine struct {
	document.Header
	Programs []Program `json:"programs"`
	Kernel   []Feature `json:"kernel"`
}

// A Program is a program that pods need.
type Program struct {
	Name  string `json:"name"`
	Found string `json:"found,omitempty"` // path and version
	Mend  string `json:"mend,omitempty"`  // how to install it
}

// A Feature is a feature of the kernel.
type Feature struct {
	Name    string `json:"name"`
	OK      bool   `json:"ok"`
	Detail  string `json:"detail,omitempty"`
	Without string `json:"without,omitempty"` // what does not work without it
}
