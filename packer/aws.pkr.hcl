# Bakes AMIs of Amazon Linux 2023, Debian 12 and Ubuntu 24.04, for x86_64 and Graviton, with ddum in them.
# README.md says how; `packer build -only='amazon-ebs.debian_*' aws.pkr.hcl` bakes some of the six.

# --- What is baked
variable "version" {
  type        = string
  default     = "1.0.0"
  description = "Of the packages in `packages`."
}

variable "packages" {
  type        = string
  default     = "target/dist"
  description = "The directory of the packages that `make packages` built."
}

variable "config" {
  type        = string
  description = "The configuration of the instances, as for /etc/dynamodb-user-manager.cfg. Without AWS keys."
}

variable "snapshot" {
  type        = string
  default     = ""
  description = "A directory with users.json and groups.json, whose accounts are in the image from the start; or nothing."
}

variable "image_prefix" {
  type    = string
  default = "ddum"
}

# --- Where it is baked
variable "region" {
  type    = string
  default = "eu-west-1"
}

variable "subnet_id" {
  type        = string
  default     = ""
  description = "Nothing: the region's default VPC."
}

variable "kms_key_id" {
  type        = string
  default     = ""
  description = "The key that encrypts the image's disk. Nothing: the account's own for EBS."
}

# --- For a trial against an emulator of EC2, where ssh leads elsewhere
variable "endpoint" {
  type    = string
  default = ""
}

variable "ssh_host" {
  type    = string
  default = ""
}

variable "ssh_port" {
  type    = number
  default = 22
}

variable "ssh_private_key_file" {
  type    = string
  default = ""
}

locals {
  stamp = formatdate("YYYYMMDD-hhmmss", timestamp())
  # Where the instance gets what the provisioner reads; a directory that the provisioner removes.
  uploads  = "/tmp/ddum-bake"
  snapshot = var.snapshot == "" ? [] : ["${var.snapshot}/users.json", "${var.snapshot}/groups.json"]
  package = {
    amazon_amd64 = "ddum-${var.version}-1.x86_64.rpm"
    amazon_arm64 = "ddum-${var.version}-1.aarch64.rpm"
    debian_amd64 = "ddum_${var.version}_amd64.deb"
    debian_arm64 = "ddum_${var.version}_arm64.deb"
    ubuntu_amd64 = "ddum_${var.version}_amd64.deb"
    ubuntu_arm64 = "ddum_${var.version}_arm64.deb"
  }
}

source "amazon-ebs" "amazon_amd64" {
  ami_name      = "${var.image_prefix}-amazon-amd64-${local.stamp}"
  instance_type = "t3.small"
  ssh_username  = "ec2-user"
  source_ami_filter {
    owners      = ["137112412989"]
    most_recent = true
    filters = {
      name                = "al2023-ami-2023.*-kernel-*-x86_64"
      architecture        = "x86_64"
      root-device-type    = "ebs"
      virtualization-type = "hvm"
    }
  }
  launch_block_device_mappings {
    device_name           = "/dev/xvda"
    volume_type           = "gp3"
    volume_size           = 8
    throughput            = 125
    iops                  = 3000
    delete_on_termination = true
  }
  region                    = var.region
  subnet_id                 = var.subnet_id
  encrypt_boot              = true
  kms_key_id                = var.kms_key_id
  ssh_clear_authorized_keys = true
  custom_endpoint_ec2       = var.endpoint
  ssh_host                  = var.ssh_host
  ssh_port                  = var.ssh_port
  ssh_private_key_file      = var.ssh_private_key_file
}

source "amazon-ebs" "amazon_arm64" {
  ami_name      = "${var.image_prefix}-amazon-arm64-${local.stamp}"
  instance_type = "t4g.small"
  ssh_username  = "ec2-user"
  source_ami_filter {
    owners      = ["137112412989"]
    most_recent = true
    filters = {
      name                = "al2023-ami-2023.*-kernel-*-arm64"
      architecture        = "arm64"
      root-device-type    = "ebs"
      virtualization-type = "hvm"
    }
  }
  launch_block_device_mappings {
    device_name           = "/dev/xvda"
    volume_type           = "gp3"
    volume_size           = 8
    throughput            = 125
    iops                  = 3000
    delete_on_termination = true
  }
  region                    = var.region
  subnet_id                 = var.subnet_id
  encrypt_boot              = true
  kms_key_id                = var.kms_key_id
  ssh_clear_authorized_keys = true
  custom_endpoint_ec2       = var.endpoint
  ssh_host                  = var.ssh_host
  ssh_port                  = var.ssh_port
  ssh_private_key_file      = var.ssh_private_key_file
}

source "amazon-ebs" "debian_amd64" {
  ami_name      = "${var.image_prefix}-debian-amd64-${local.stamp}"
  instance_type = "t3.small"
  ssh_username  = "admin"
  source_ami_filter {
    owners      = ["136693071363"]
    most_recent = true
    filters = {
      name                = "debian-12-amd64-*"
      architecture        = "x86_64"
      root-device-type    = "ebs"
      virtualization-type = "hvm"
    }
  }
  launch_block_device_mappings {
    device_name           = "/dev/xvda"
    volume_type           = "gp3"
    volume_size           = 8
    throughput            = 125
    iops                  = 3000
    delete_on_termination = true
  }
  region                    = var.region
  subnet_id                 = var.subnet_id
  encrypt_boot              = true
  kms_key_id                = var.kms_key_id
  ssh_clear_authorized_keys = true
  custom_endpoint_ec2       = var.endpoint
  ssh_host                  = var.ssh_host
  ssh_port                  = var.ssh_port
  ssh_private_key_file      = var.ssh_private_key_file
}

source "amazon-ebs" "debian_arm64" {
  ami_name      = "${var.image_prefix}-debian-arm64-${local.stamp}"
  instance_type = "t4g.small"
  ssh_username  = "admin"
  source_ami_filter {
    owners      = ["136693071363"]
    most_recent = true
    filters = {
      name                = "debian-12-arm64-*"
      architecture        = "arm64"
      root-device-type    = "ebs"
      virtualization-type = "hvm"
    }
  }
  launch_block_device_mappings {
    device_name           = "/dev/xvda"
    volume_type           = "gp3"
    volume_size           = 8
    throughput            = 125
    iops                  = 3000
    delete_on_termination = true
  }
  region                    = var.region
  subnet_id                 = var.subnet_id
  encrypt_boot              = true
  kms_key_id                = var.kms_key_id
  ssh_clear_authorized_keys = true
  custom_endpoint_ec2       = var.endpoint
  ssh_host                  = var.ssh_host
  ssh_port                  = var.ssh_port
  ssh_private_key_file      = var.ssh_private_key_file
}

source "amazon-ebs" "ubuntu_amd64" {
  ami_name      = "${var.image_prefix}-ubuntu-amd64-${local.stamp}"
  instance_type = "t3.small"
  ssh_username  = "ubuntu"
  source_ami_filter {
    owners      = ["099720109477"]
    most_recent = true
    filters = {
      name                = "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-*"
      architecture        = "x86_64"
      root-device-type    = "ebs"
      virtualization-type = "hvm"
    }
  }
  launch_block_device_mappings {
    device_name           = "/dev/sda1"
    volume_type           = "gp3"
    volume_size           = 8
    throughput            = 125
    iops                  = 3000
    delete_on_termination = true
  }
  region                    = var.region
  subnet_id                 = var.subnet_id
  encrypt_boot              = true
  kms_key_id                = var.kms_key_id
  ssh_clear_authorized_keys = true
  custom_endpoint_ec2       = var.endpoint
  ssh_host                  = var.ssh_host
  ssh_port                  = var.ssh_port
  ssh_private_key_file      = var.ssh_private_key_file
}

source "amazon-ebs" "ubuntu_arm64" {
  ami_name      = "${var.image_prefix}-ubuntu-arm64-${local.stamp}"
  instance_type = "t4g.small"
  ssh_username  = "ubuntu"
  source_ami_filter {
    owners      = ["099720109477"]
    most_recent = true
    filters = {
      name                = "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-arm64-server-*"
      architecture        = "arm64"
      root-device-type    = "ebs"
      virtualization-type = "hvm"
    }
  }
  launch_block_device_mappings {
    device_name           = "/dev/sda1"
    volume_type           = "gp3"
    volume_size           = 8
    throughput            = 125
    iops                  = 3000
    delete_on_termination = true
  }
  region                    = var.region
  subnet_id                 = var.subnet_id
  encrypt_boot              = true
  kms_key_id                = var.kms_key_id
  ssh_clear_authorized_keys = true
  custom_endpoint_ec2       = var.endpoint
  ssh_host                  = var.ssh_host
  ssh_port                  = var.ssh_port
  ssh_private_key_file      = var.ssh_private_key_file
}

build {
  sources = [
    "source.amazon-ebs.amazon_amd64",
    "source.amazon-ebs.amazon_arm64",
    "source.amazon-ebs.debian_amd64",
    "source.amazon-ebs.debian_arm64",
    "source.amazon-ebs.ubuntu_amd64",
    "source.amazon-ebs.ubuntu_arm64",
  ]

  # A new instance may still be installing packages of its own.
  provisioner "shell" {
    inline = [
      "! command -v cloud-init >/dev/null || cloud-init status --wait >/dev/null || true",
      "install -d -m 0700 ${local.uploads}",
    ]
  }

  provisioner "file" {
    source      = "${var.packages}/${local.package[source.name]}"
    destination = "${local.uploads}/"
  }

  provisioner "file" {
    sources     = concat([var.config], local.snapshot)
    destination = "${local.uploads}/"
  }

  provisioner "shell" {
    script          = "${path.root}/provision.sh"
    execute_command = "sudo env {{ .Vars }} sh '{{ .Path }}'"
    environment_vars = [
      "DDUM_PACKAGE=${local.uploads}/${local.package[source.name]}",
      "DDUM_CONFIG=${local.uploads}/${basename(var.config)}",
      "DDUM_SNAPSHOT_USERS=${var.snapshot == "" ? "" : "${local.uploads}/users.json"}",
      "DDUM_SNAPSHOT_GROUPS=${var.snapshot == "" ? "" : "${local.uploads}/groups.json"}",
      "DDUM_UPLOADS=${local.uploads}",
    ]
  }

  # Each instance gets an id of its own at its first boot.
  provisioner "shell" {
    inline = ["sudo truncate -s 0 /etc/machine-id"]
  }
}
