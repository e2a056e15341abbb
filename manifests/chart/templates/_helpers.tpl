{{/* Labels and annotations of an object, besides its own: object and root are given. */}}
{{- define "imgop.mark" -}}
{{- $metadata := .object.metadata -}}
{{- $chart := printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" -}}
{{- $given := dict "helm.sh/chart" $chart -}}
{{- $_ := set $metadata "labels" (mustMergeOverwrite (dict) (.root.Values.commonLabels | default dict) ($metadata.labels | default dict) $given) -}}
{{- $annotations := mustMergeOverwrite (dict) (.root.Values.commonAnnotations | default dict) ($metadata.annotations | default dict) -}}
{{- if $annotations }}{{ $_ := set $metadata "annotations" $annotations }}{{ end -}}
{{- end }}

{{/* An object as a document of its own. */}}
{{- define "imgop.document" -}}
{{- include "imgop.mark" . -}}
---
{{ toYaml .object }}
{{ end }}

{{/* metadata of an object that the chart makes itself: name, root, and of its values labels and annotations. */}}
{{- define "imgop.metadata" -}}
{{- $labels := mustMergeOverwrite (dict) (.values.labels | default dict) (dict "app.kubernetes.io/part-of" "imgop") -}}
{{- $metadata := dict "name" .name "labels" $labels "namespace" .root.Release.Namespace -}}
{{- if .values.annotations }}{{ $_ := set $metadata "annotations" .values.annotations }}{{ end -}}
{{- toYaml $metadata -}}
{{- end }}

{{/* The agent's image. */}}
{{- define "imgop.image" -}}
{{- $image := .Values.image -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ $image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{/* The agent's settings as variables. Lists are separated by commas; what has a structure is JSON. */}}
{{- define "imgop.settings" -}}
{{- range $key, $value := .Values.settings }}
{{- if not (kindIs "invalid" $value) }}
{{- $text := toString $value }}
{{- if kindIs "float64" $value }}{{ $text = toString (int64 $value) }}{{ end }}
{{- if kindIs "map" $value }}{{ $text = toJson $value }}{{ end }}
{{- if kindIs "slice" $value }}
{{- $text = join "," $value }}
{{- if and $value (kindIs "map" (first $value)) }}{{ $text = toJson $value }}{{ end }}
{{- end }}
{{ $key | snakecase | upper }}: {{ $text | quote }}
{{- end }}
{{- end }}
{{- end }}

{{/* The port of /metrics, /livez and /readyz. */}}
{{- define "imgop.port" -}}
{{- (.Values.settings | default dict).listen | default ":8080" | regexFind "[0-9]+$" -}}
{{- end }}

{{/* The namespace of Jobs that use what is lent. */}}
{{- define "imgop.jobNamespace" -}}
{{- (.Values.settings | default dict).jobNamespace | default .Release.Namespace -}}
{{- end }}
