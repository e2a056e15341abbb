{{/* The Deployment of install.yaml with the values: object and root are given. */}}
{{- define "imgop.deployment" -}}
{{- $values := .root.Values -}}
{{- $deployment := .object.spec -}}
{{- $template := $deployment.template -}}
{{- $pod := $template.spec -}}
{{- $container := first $pod.containers -}}
{{- $_ := set $deployment "replicas" $values.replicas -}}
{{- if $values.deploymentAnnotations }}{{ $_ := set .object.metadata "annotations" $values.deploymentAnnotations }}{{ end -}}
{{- $_ := set $template.metadata "labels" (mustMergeOverwrite (dict) ($values.podLabels | default dict) $template.metadata.labels) -}}
{{- if $values.podAnnotations }}{{ $_ := set $template.metadata "annotations" $values.podAnnotations }}{{ end -}}
{{- $_ := set $pod "serviceAccountName" $values.serviceAccount.name -}}
{{- $own := omit $pod.securityContext "runAsUser" "runAsGroup" -}}
{{- $_ := set $pod "securityContext" (mustMergeOverwrite (dict) ($values.podSecurityContext | default dict) $own) -}}
{{- range $field := list "affinity" "nodeSelector" "tolerations" "topologySpreadConstraints" "priorityClassName" "volumes" -}}
{{- with get $values $field }}{{ $_ := set $pod $field . }}{{ end -}}
{{- end -}}
{{- if $values.image.pullSecrets -}}
{{- $secrets := list -}}
{{- range $values.image.pullSecrets }}{{ $secrets = append $secrets (dict "name" .) }}{{ end -}}
{{- $_ := set $pod "imagePullSecrets" $secrets -}}
{{- end -}}
{{- $_ := set $container "image" (include "imgop.image" .root) -}}
{{- $_ := set $container "imagePullPolicy" $values.image.pullPolicy -}}
{{- $_ := set $container "resources" $values.resources -}}
{{- range $field := list "volumeMounts" "envFrom" -}}
{{- with get $values $field }}{{ $_ := set $container $field . }}{{ end -}}
{{- end -}}
{{- $_ := set $container "livenessProbe" (include "imgop.probe" (dict "own" $container.livenessProbe "given" ($values.livenessProbe | default dict)) | fromYaml) -}}
{{- $_ := set $container "readinessProbe" (include "imgop.probe" (dict "own" $container.readinessProbe "given" ($values.readinessProbe | default dict)) | fromYaml) -}}
{{- $_ := set (first $container.ports) "containerPort" (include "imgop.port" .root | int) -}}
{{- $_ := set $container "env" (include "imgop.env" (dict "own" $container.env "root" .root) | fromYamlArray) -}}
{{- end }}

{{/* A probe. Of the ways to ask it has one: that of the values, if they have any. */}}
{{- define "imgop.probe" -}}
{{- $own := .own -}}
{{- range list "httpGet" "exec" "tcpSocket" "grpc" -}}
{{- if hasKey $.given . }}{{ $own = omit $own "httpGet" }}{{ end -}}
{{- end -}}
{{- toYaml (mustMergeOverwrite (dict) $own .given) -}}
{{- end }}

{{/* The agent's variables: those of install.yaml, with the settings in their place, then the others. */}}
{{- define "imgop.env" -}}
{{- $values := .root.Values -}}
{{- $settings := include "imgop.settings" .root | fromYaml -}}
{{- if and (ne $values.serviceAccount.name "imgop-agent") (not (hasKey $settings "SERVICE_ACCOUNT")) -}}
{{- $_ := set $settings "SERVICE_ACCOUNT" (printf "%s:%s" .root.Release.Namespace $values.serviceAccount.name) -}}
{{- end -}}
{{- if not (hasKey $settings "NATIVE_IMAGE") -}}
{{- $_ := set $settings "NATIVE_IMAGE" (include "imgop.image" .root) -}}
{{- end -}}
{{- $given := dict -}}
{{- range $values.env -}}
{{- if hasKey $settings .name }}{{ fail (printf "env and settings both have %s: leave one of them out" .name) }}{{ end -}}
{{- if hasKey $given .name }}{{ fail (printf "env has %s twice: leave one of them out" .name) }}{{ end -}}
{{- $_ := set $given .name true -}}
{{- end -}}
{{- $env := list -}}
{{- $own := dict -}}
{{- range .own -}}
{{- $_ := set $own .name true -}}
{{- if hasKey $settings .name -}}
{{- $env = append $env (dict "name" .name "value" (get $settings .name)) -}}
{{- else if not (hasKey $given .name) -}}
{{- $env = append $env . -}}
{{- end -}}
{{- end -}}
{{- range $name, $value := $settings -}}
{{- if not (hasKey $own $name) }}{{ $env = append $env (dict "name" $name "value" $value) }}{{ end -}}
{{- end -}}
{{- toYaml (concat $env ($values.env | default list)) -}}
{{- end }}
