package breakerd

import "strings"

// matchesText matches a glob in which `*` is any text. Only the last star is ever retried, since an
// earlier one could only take away from what the last one can reach.
func matchesText(glob, text string) bool {
	g, t := 0, 0
	star, retry := -1, 0
	for t < len(text) {
		switch {
		case g < len(glob) && glob[g] == '*':
			g++
			star, retry = g, t
		case g < len(glob) && glob[g] == text[t]:
			g++
			t++
		case star >= 0:
			retry++
			g, t = star, retry
		default:
			return false
		}
	}
	return strings.Trim(glob[g:], "*") == ""
}

// matchesName matches a selector, in which `*` stays within a part and `**` does not.
func matchesName(selector, name string) bool {
	g, t := 0, 0
	single, singleAt := -1, 0
	double, doubleAt := -1, 0
	for {
		switch {
		case strings.HasPrefix(selector[g:], "**"):
			for g < len(selector) && selector[g] == '*' {
				g++
			}
			double, doubleAt, single = g, t, -1
		case g < len(selector) && selector[g] == '*':
			g++
			single, singleAt = g, t
		case g < len(selector) && t < len(name) && selector[g] == name[t]:
			g++
			t++
		case g == len(selector) && t == len(name):
			return true
		case single >= 0 && singleAt < len(name) && name[singleAt] != '/':
			singleAt++
			g, t = single, singleAt
		case double >= 0 && doubleAt < len(name):
			doubleAt++
			g, t, single = double, doubleAt, -1
		default:
			return false
		}
	}
}

// matchesAny says whether one of the selectors matches the name.
func matchesAny(selectors []string, name string) bool {
	for _, selector := range selectors {
		if matchesName(selector, name) {
			return true
		}
	}
	return false
}
