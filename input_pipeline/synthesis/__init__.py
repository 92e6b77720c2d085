"""Images and anatomies made from label maps, and the phantom: a label map made from the MNI152 template."""
