# Packer 1.7 and later gets the Amazon builder as a plugin: `packer init plugins.pkr.hcl`, once. Packer before 1.7 has
# it built in and does not know this block, which is why it is in a file of its own.
packer {
  required_plugins {
    amazon = {
      source  = "github.com/hashicorp/amazon"
      version = ">= 1.2.0"
    }
  }
}
