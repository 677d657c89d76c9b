package app

// maxFiles is how many files this process may have open. Windows has no limit
// that a server would come near.
func maxFiles() int { return mostFiles }
