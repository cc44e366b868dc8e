{
  'targets': [
    {
      'target_name': 'yore',
      'sources': [
        'src/accounts.cc',
        'src/addon.cc',
        'src/body_socket.cc',
        'src/cached_read.cc',
        'src/chunker.cc',
        'src/compact_tree.cc',
        'src/compression.cc',
        'src/courtesy.cc',
        'src/crypto.cc',
        'src/directory_records.cc',
        'src/engine.cc',
        'src/examine_files.cc',
        'src/file_calls.cc',
        'src/file_status.cc',
        'src/fuse_channel.cc',
        'src/fuse_functions.cc',
        'src/fuse_mount.cc',
        'src/fuse_notifier.cc',
        'src/heap_pages.cc',
        'src/index_file.cc',
        'src/metadata.cc',
        'src/open_beneath.cc',
        'src/pack_file.cc',
        'src/page_cache.cc',
        'src/placement.cc',
        'src/plain_json.cc',
        'src/poly1305.cc',
        'src/prepared_replies.cc',
        'src/process.cc',
        'src/scan.cc',
        'src/scrypt.cc',
        'src/seal.cc',
        'src/seal_functions.cc',
        'src/sealed_parts.cc',
        'src/sha256_lanes.cc',
        'src/small_files.cc',
        'src/thread_pool.cc',
        'src/tree_match.cc',
        'src/unnamed_file.cc',
        'src/upload.cc',
        'src/whole_files.cc',
        'src/written_pages.cc',
      ],
      # zstd comes from the sources in the zstd-napi package, as a static library with hidden symbols: Node.js 22.15
      # and later have ZSTD_* of their own in the executable, and the executable would win the symbol look-up.
      'dependencies': [
        '<!(node -p "require(\'path\').dirname(require.resolve(\'zstd-napi/package.json\'))")/deps/zstd.gyp:libzstd',
      ],
      'defines': ['NAPI_VERSION=9', '_FILE_OFFSET_BITS=64'],
      'cflags_cc!': ['-std=gnu++17', '-std=gnu++20', '-fno-exceptions'],
      'cflags_cc': [
        '-std=c++17',
        '-fexceptions',
        '-fvisibility=hidden',
        '-Wall',
        '-Wextra',
        '-Werror=return-type',
      ],
      'cflags': ['-O3'],
      'conditions': [
        ['OS=="linux"', {
          'ldflags': [
            # A symbol that this Node.js does not have must fail at require(), where it is caught, and not kill the
            # process at the first call, as lazy binding does.
            '-Wl,-z,now',
            '-Wl,--exclude-libs,ALL',
            '-Wl,-Bsymbolic',
            # The pool's threads outlive the environments (worker_threads) that loaded the addon.
            '-Wl,-z,nodelete',
          ],
        }],
        ['OS=="mac"', {
          'xcode_settings': {
            'CLANG_CXX_LANGUAGE_STANDARD': 'c++17',
            'GCC_ENABLE_CPP_EXCEPTIONS': 'YES',
            'GCC_SYMBOLS_PRIVATE_EXTERN': 'YES',
          },
        }],
      ],
    },
  ],
}
