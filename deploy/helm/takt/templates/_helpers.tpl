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

{{/* The API that has MutatingAdmissionPolicy: from 1.36 on v1, before that v1beta1 where it is turned on; "": none. */}}
{{- define "takt.mutatingApi" -}}
{{- if semverCompare ">=1.36.0-0" .Capabilities.KubeVersion.Version -}}
admissionregistration.k8s.io/v1
{{- else if .Capabilities.APIVersions.Has "admissionregistration.k8s.io/v1beta1/MutatingAdmissionPolicy" -}}
admissionregistration.k8s.io/v1beta1
{{- end -}}
{{- end }}
