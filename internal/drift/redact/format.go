package redact

import (
	"path"
	"regexp"
	"strings"
)

type syntax int

const (
	lineSyntax syntax = iota
	jsonSyntax
	yamlSyntax
	xmlSyntax
	csvSyntax
)

// A format is how a file is written, as far as it matters for its secrets.
type format struct {
	syntax        syntax
	isNamed       bool // by the name of the file, not by its content
	isCode        bool // values can be expressions
	isShell       bool
	isProse       bool // sentences
	isSettings    bool // neither code nor sentences
	isPAM         bool
	isSudoers     bool
	isNameService bool
	isGit         bool
	isTable       bool // names and numbers of the system
	isPackages    bool // preferences of apt
	isDigests     bool // digests of files
}

var (
	proseEnds    = set(".md .rst .adoc .txt .html .htm .tex .1 .5 .7 .8 .man .po .pot")
	codeEnds     = set(".py .pyi .js .mjs .cjs .ts .jsx .tsx .go .c .h .cc .cpp .hpp .rs .java .kt .scala .rb .php .pl .pm .lua .cs .swift .css .vim .el .awk .m4 .sed .tcl .r .jl .ex .exs .erl .hs .ml .vue .svelte")
	shellEnds    = set(".sh .bash .zsh .ksh .fish .profile .bashrc")
	systemTables = set("services rpc ethertypes protocols mime.types magic networks")
	jsonStart    = regexp.MustCompile(`^\s*(?:[{]\s*(?:"|\}|//|/\*)|\[\s*(?:[{\["\]]|-?\d))`)
	yamlStart    = regexp.MustCompile(`(?m)\A(?:#.*\n|\s*\n)*(?:---|%YAML|(?:["']?[\w./-]+["']?):(?:\s|$)|- )`)
	xmlStart     = regexp.MustCompile(`^\s*<(?:\?xml|!DOCTYPE|!--|[A-Za-z][\w:.-]*[\s/>])`)
	shebang      = regexp.MustCompile(`^#!\s*\S*/(?:env\s+(?:-\S+\s+)*)?([a-z]+)`)
)

func formatOf(name, content string) format {
	base := strings.ToLower(path.Base(name))
	ext := path.Ext(base)
	head := content[:min(len(content), 4<<10)]
	f := format{
		isPAM:         strings.Contains(name, "/pam.d/") || base == "pam.conf" || strings.Contains(name, "/pam-configs/"),
		isSudoers:     strings.Contains(name, "sudoers"),
		isNameService: strings.HasPrefix(base, "nsswitch"),
		isPackages:    strings.Contains(name, "/apt/"),
		isDigests:     holdsDigests(name),
		isGit:         base == ".gitconfig" || base == "gitconfig" || strings.HasSuffix(name, ".git/config"),
		isTable:       strings.HasPrefix(name, "/etc/") && systemTables[base],
		isProse:       proseEnds[ext],
		isCode:        codeEnds[ext],
		isShell:       shellEnds[ext] || strings.Contains(name, "/init.d/") || strings.Contains(name, "/etc/default/") || base == "profile",
	}
	if m := shebang.FindStringSubmatch(head); m != nil {
		f.isShell = f.isShell || strings.HasSuffix(m[1], "sh")
		f.isCode = f.isCode || !f.isShell
	}
	f.isSettings = !f.isProse && !f.isCode && !f.isShell
	switch {
	case ext == ".json" || ext == ".jsonc" || ext == ".json5" || ext == ".tfstate" || ext == ".ipynb" || ext == ".webmanifest" || strings.HasSuffix(base, ".dockercfg"):
		f.syntax, f.isNamed = jsonSyntax, true
	case ext == ".yaml" || ext == ".yml" || base == "kubeconfig" || strings.HasSuffix(name, ".kube/config"):
		f.syntax, f.isNamed = yamlSyntax, true
	case ext == ".xml" || ext == ".plist" || ext == ".xsd" || ext == ".svg" || ext == ".pom" || ext == ".csproj" || ext == ".config" && xmlStart.MatchString(head):
		f.syntax, f.isNamed = xmlSyntax, true
	case ext == ".html" || ext == ".htm" || ext == ".jsp" || ext == ".xhtml":
		f.syntax = xmlSyntax
	case ext == ".csv" || ext == ".tsv":
		f.syntax = csvSyntax
	case f.isCode || f.isShell:
	case jsonStart.MatchString(head):
		f.syntax = jsonSyntax
	case xmlStart.MatchString(head):
		f.syntax = xmlSyntax
	case ext == "" && yamlStart.MatchString(head):
		f.syntax = yamlSyntax
	}
	return f
}
