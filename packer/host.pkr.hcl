# The provisioner in a template of another kind: puts ddum, from its repository, into one machine that ssh reaches. The
# blocks after `build` are what a template of your own takes over.

variable "host" {
  type = string
}

variable "port" {
  type    = number
  default = 22
}

variable "user" {
  type        = string
  description = "Who may become root with sudo without a password, or root."
}

variable "private_key_file" {
  type = string
}

variable "repository" {
  type        = string
  description = "Where apt/ and dnf/ are, as `make repos` made them."
}

variable "repository_key" {
  type        = string
  description = "The file ddum.asc beside them, from a place that you trust."
}

variable "version" {
  type        = string
  default     = ""
  description = "Nothing: the newest."
}

variable "config" {
  type = string
}

variable "users" {
  type        = string
  description = "The snapshot of the tables: what `ddum export --from-tables --to-files users.json groups.json` wrote."
}

variable "groups" {
  type = string
}

variable "host_keys" {
  type    = string
  default = "auto"
}

source "null" "machine" {
  ssh_host             = var.host
  ssh_port             = var.port
  ssh_username         = var.user
  ssh_private_key_file = var.private_key_file
}

build {
  sources = ["source.null.machine"]

  provisioner "shell" {
    inline = ["install -d -m 0700 /tmp/ddum-bake"]
  }

  provisioner "file" {
    sources     = [var.repository_key, var.config, var.users, var.groups]
    destination = "/tmp/ddum-bake/"
  }

  provisioner "shell" {
    script          = "${path.root}/provision.sh"
    execute_command = "sudo env {{ .Vars }} sh '{{ .Path }}'"
    environment_vars = [
      "DDUM_REPOSITORY=${var.repository}",
      "DDUM_REPOSITORY_KEY=/tmp/ddum-bake/${basename(var.repository_key)}",
      "DDUM_VERSION=${var.version}",
      "DDUM_CONFIG=/tmp/ddum-bake/${basename(var.config)}",
      "DDUM_SNAPSHOT_USERS=/tmp/ddum-bake/${basename(var.users)}",
      "DDUM_SNAPSHOT_GROUPS=/tmp/ddum-bake/${basename(var.groups)}",
      "DDUM_HOST_KEYS=${var.host_keys}",
      "DDUM_UPLOADS=/tmp/ddum-bake",
    ]
  }
}
