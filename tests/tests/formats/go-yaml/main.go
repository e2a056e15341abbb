// go-yaml writes YAML as rancher's tools do, for the tests of imgop's own writer: with sigs.k8s.io/yaml, which they use.
//
// Each line of its input is a JSON object {"kind": "text" | "config" | "list", "text": …}; each line of its output is the
// JSON string with the YAML of it, or an object {"error": …}.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"sort"

	"sigs.k8s.io/yaml"
)

type request struct {
	Kind string `json:"kind"`
	Text string `json:"text"`
}

type artifact struct {
	DoNotMirror        any `json:",omitempty"`
	SourceArtifact     string
	Tags               []string
	TargetArtifactName string   `json:",omitempty"`
	TargetRepositories []string `json:",omitempty"`
}

type repository struct {
	BaseUrl       string
	DefaultTarget bool
	Password      string
	Registry      string
	RepoAuth      bool `json:",omitempty"`
	ReqConcurrent int  `json:",omitempty"`
	Username      string
}

type config struct {
	Artifacts    []artifact
	Repositories []repository
}

// wrapped is a text at several depths.
func wrapped(text string) any {
	return []any{map[string]any{
		"Name": "x",
		"a":    text,
		"b":    []any{text, map[string]any{"c": text, "d": []any{[]any{text}}}},
	}}
}

func answer(request request) ([]byte, error) {
	switch request.Kind {
	case "text":
		return yaml.Marshal(wrapped(request.Text))
	case "keys":
		var keys []string
		if err := json.Unmarshal([]byte(request.Text), &keys); err != nil {
			return nil, err
		}
		object := map[string]any{}
		for _, key := range keys {
			object[key] = true
		}
		return yaml.Marshal([]any{map[string]any{"Name": "x", "of": object}})
	case "config":
		var config config
		if err := yaml.Unmarshal([]byte(request.Text), &config); err != nil {
			return nil, err
		}
		for _, artifact := range config.Artifacts {
			sort.Strings(artifact.Tags)
		}
		sort.SliceStable(config.Artifacts, func(i, j int) bool {
			return config.Artifacts[i].SourceArtifact < config.Artifacts[j].SourceArtifact
		})
		sort.SliceStable(config.Repositories, func(i, j int) bool {
			return config.Repositories[i].BaseUrl < config.Repositories[j].BaseUrl
		})
		return yaml.Marshal(config)
	}
	return nil, fmt.Errorf("unknown kind %q", request.Kind)
}

func main() {
	in, out := bufio.NewReader(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return
		}
		var request request
		if err := json.Unmarshal(line, &request); err != nil {
			panic(err)
		}
		text, err := answer(request)
		if err != nil {
			err = out.Encode(map[string]string{"error": err.Error()})
		} else {
			err = out.Encode(string(text))
		}
		if err != nil {
			panic(err)
		}
	}
}
