"""Values: plain Python values, dicts with dot access, JSON and `google.protobuf.Struct`."""
