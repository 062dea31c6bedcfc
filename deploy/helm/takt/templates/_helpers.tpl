{{/* SPDX-License-Identifier: Apache-2.0 */}}
{{- define "takt.selector" -}}
app.kubernetes.io/name: takt
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "takt.labels" -}}
{{ include "takt.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "takt.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{/* Names of what is not in a namespace carry it, so that two releases never share one. */}}
{{- define "takt.clusterName" -}}
takt-dra.{{ .Release.Namespace }}
{{- end }}

{{/* The policies of claims: before 1.36 there is no MutatingAdmissionPolicy v1, and CEL lacks what they use. */}}
{{- define "takt.claimPolicies" -}}
{{- if and .Values.policies.enabled (semverCompare ">=1.36.0-0" .Capabilities.KubeVersion.Version) -}}
yes
{{- end -}}
{{- end }}
