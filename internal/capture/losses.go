package capture

// losses lists what the server has and the workload will not have.
func (s *survey) losses() {
	for _, u := range s.unread {
		s.lose(u.Path, "it could not be read: "+u.Err.Error(), "")
	}
}
