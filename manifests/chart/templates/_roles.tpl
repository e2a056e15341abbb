{{/* Where the right to the Lease and to Jobs that use what is lent is needed: object and root are given. */}}
{{- define "imgop.place" -}}
{{- $settings := .root.Values.settings | default dict -}}
{{- $metadata := .object.metadata -}}
{{- $namespace := .root.Release.Namespace -}}
{{- if eq $metadata.name "imgop-agent-lease" }}{{ $namespace = $settings.leaseNamespace | default $namespace }}{{ end -}}
{{- if eq $metadata.name "imgop-agent-lent" }}{{ $namespace = include "imgop.jobNamespace" .root }}{{ end -}}
{{- if hasKey $metadata "namespace" }}{{ $_ := set $metadata "namespace" $namespace }}{{ end -}}
{{- range .object.rules -}}
{{- if and .resourceNames $settings.leaseName (eq $metadata.name "imgop-agent-lease") -}}
{{- $_ := set . "resourceNames" (list $settings.leaseName) -}}
{{- end -}}
{{- end -}}
{{- range .object.subjects -}}
{{- $_ := set . "name" $.root.Values.serviceAccount.name -}}
{{- $_ := set . "namespace" $.root.Release.Namespace -}}
{{- end -}}
{{- end }}
