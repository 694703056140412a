package observe

// legacyKinds are the kinds of write that have a system call of their own on
// x86 only.
var legacyKinds []kindTest
