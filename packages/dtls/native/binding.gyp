{
  "targets": [
    {
      "target_name": "dtls",
      "sources": ["module.c", "calls.c", "context.c", "session.c"],
      "cflags": ["-O2", "-Wall", "-Wextra", "-std=gnu11"],
      "ldflags": ["-Wl,-z,now"]
    }
  ]
}
