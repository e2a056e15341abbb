// Says of pairs of a constraint and a version, a line each with a tab between, whether the library finds that they match.
package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"

	"github.com/Masterminds/semver/v3"
)

func main() {
	lines := bufio.NewScanner(os.Stdin)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for lines.Scan() {
		constraint, version, _ := strings.Cut(lines.Text(), "\t")
		fmt.Fprintln(out, verdict(constraint, version))
	}
}

func verdict(constraint, version string) string {
	parsed, err := semver.NewConstraint(constraint)
	if err != nil {
		return "no constraint"
	}
	read, err := semver.NewVersion(version)
	if err != nil {
		return "no version"
	}
	return fmt.Sprint(parsed.Check(read))
}
