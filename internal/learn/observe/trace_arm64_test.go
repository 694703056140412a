package observe

// legacyKinds are the writes that only x86 has a system call for.
var legacyKinds []kindTest
