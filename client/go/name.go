package breakerd

import (
	"fmt"
	"strings"
)

// maxNameBytes is how long a name or a selector may be.
const maxNameBytes = 200

// NameError says why a text is not the name of a breaker, or not a selector.
type NameError struct {
	// Name is the text.
	Name string
	// Rule is the rule that it breaks.
	Rule string
}

// Error names the text and the rule.
func (e *NameError) Error() string { return fmt.Sprintf("breakerd: %q: %s", e.Name, e.Rule) }

func isNameByte(b byte) bool {
	return 'a' <= b && b <= 'z' || '0' <= b && b <= '9' || b == '.' || b == '_' || b == '-'
}

// checkName checks the name of a breaker: at least two parts of lower-case letters, digits, `.`, `_`
// and `-`, joined by `/`, 200 bytes at most.
func checkName(name string) error {
	refuse := func(rule string, values ...any) error { return &NameError{name, fmt.Sprintf(rule, values...)} }
	if name == "" {
		return refuse("the name is empty; a name is `namespace/name`, such as `payments/stripe`")
	}
	if len(name) > maxNameBytes {
		return refuse("the name is %d bytes long; at most %d are allowed", len(name), maxNameBytes)
	}
	for _, character := range name {
		if character != '/' && (character > 127 || !isNameByte(byte(character))) {
			return refuse("it contains %q; a name holds lower-case letters, digits, `.`, `_`, `-` and `/`", character)
		}
	}
	if !strings.Contains(name, "/") {
		return refuse("it has one part; a name has at least two, such as `payments/%s`", name)
	}
	if strings.HasPrefix(name, "/") || strings.HasSuffix(name, "/") || strings.Contains(name, "//") {
		return refuse("it has an empty part; a name is `namespace/name`, such as `payments/stripe`")
	}
	return nil
}

// checkSelector checks a name, or a glob over names.
func checkSelector(selector string) error {
	if !strings.Contains(selector, "*") {
		return checkName(selector)
	}
	if len(selector) > maxNameBytes {
		return &NameError{selector, fmt.Sprintf("the glob is %d bytes long; at most %d are allowed", len(selector), maxNameBytes)}
	}
	for _, character := range selector {
		if character != '/' && character != '*' && (character > 127 || !isNameByte(byte(character))) {
			return &NameError{selector, fmt.Sprintf("it contains %q; a glob holds lower-case letters, digits, `.`, `_`, `-`, `/` and `*`", character)}
		}
	}
	return nil
}
