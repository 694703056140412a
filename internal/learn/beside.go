package learn

// A beside is the other workloads of a file, which run while one is learned.
type beside struct{ list []member }

// members returns the running pods.
func (b *beside) members() []member {
	if b == nil {
		return nil
	}
	return b.list
}
