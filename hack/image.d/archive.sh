# shellcheck shell=bash
# Image archives without an engine: layers and a configuration become one tar that is an OCI layout
# and a docker-archive at once, so that ctr, kind, podman and docker all import it.
# Same input, same bytes: no time of day, no user names. Sourced after hack/deps.d/lib.sh.

# tar_tree FOLDER: its contents as a layer, on stdout.
tar_tree() {
    tar --create --sort=name --mtime=@0 --numeric-owner --format=gnu \
        ${2:+--owner=$2 --group=$2} --directory "$1" .
}

digest_of() { sha256sum "$1" | cut -d' ' -f1; }

# layer_add WORK TAR [gz]: puts a layer's blob into the layout in WORK and appends
# {mediaType,digest,size,diff_id} to WORK/layers.
layer_add() {
    local work=$1 tar=$2 diff_id digest type=application/vnd.oci.image.layer.v1.tar
    case $tar in
        *.gz)
            type+=+gzip
            diff_id=$(gzip -dc "$tar" | sha256sum | cut -d' ' -f1)
            ;;
        *) diff_id=$(digest_of "$tar") ;;
    esac
    digest=$(digest_of "$tar")
    cp --reflink=auto "$tar" "$work/blobs/sha256/$digest"
    jq -n --arg t "$type" --arg d "$digest" --arg i "$diff_id" --argjson s "$(stat -c %s "$tar")" \
        '{mediaType: $t, digest: "sha256:\($d)", size: $s, diff_id: "sha256:\($i)"}' >>"$work/layers"
}

# blob_add WORK FILE: moves FILE among the blobs, prints {digest,size}.
blob_add() {
    local digest size
    digest=$(digest_of "$2")
    size=$(stat -c %s "$2")
    mv "$2" "$1/blobs/sha256/$digest"
    jq -n --arg d "sha256:$digest" --argjson s "$size" '{digest: $d, size: $s}'
}

# host_arch: the architecture by Go's name, as images call it.
host_arch() {
    case $(dpkg --print-architecture) in
        armhf) echo arm ;;
        ppc64el) echo ppc64le ;;
        *) dpkg --print-architecture ;;
    esac
}

# archive_write OUT REFERENCE CONFIG LAYER...: CONFIG is the JSON object under "config" (User, Env,
# Entrypoint...), LAYERs are .tar or .tar.gz files, lowest first.
archive_write() {
    local out=$1 reference=$2 config=$3 work layer
    shift 3
    work=$(mktemp -d "$out.XXXXXX")
    mkdir -p "$work/blobs/sha256"
    for layer in "$@"; do layer_add "$work" "$layer"; done

    jq -n --arg arch "$(host_arch)" --argjson config "$config" --slurpfile layers "$work/layers" \
        '{created: "1970-01-01T00:00:00Z", architecture: $arch, os: "linux", config: $config,
          rootfs: {type: "layers", diff_ids: [$layers[].diff_id]},
          history: [$layers[] | {created: "1970-01-01T00:00:00Z"}]}' >"$work/config"
    blob_add "$work" "$work/config" >"$work/config.blob"

    jq -n --slurpfile config "$work/config.blob" --slurpfile layers "$work/layers" \
        '{schemaVersion: 2, mediaType: "application/vnd.oci.image.manifest.v1+json",
          config: ($config[0] + {mediaType: "application/vnd.oci.image.config.v1+json"}),
          layers: [$layers[] | del(.diff_id)]}' >"$work/manifest"
    blob_add "$work" "$work/manifest" >"$work/manifest.blob"

    jq -n --arg ref "$reference" --slurpfile manifest "$work/manifest.blob" \
        '{schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json",
          manifests: [$manifest[0] + {mediaType: "application/vnd.oci.image.manifest.v1+json",
            annotations: {"io.containerd.image.name": $ref,
                          "org.opencontainers.image.ref.name": ($ref | split(":") | last)}}]}' \
        >"$work/index.json"
    echo '{"imageLayoutVersion": "1.0.0"}' >"$work/oci-layout"
    jq -n --arg ref "$reference" --slurpfile config "$work/config.blob" --slurpfile layers "$work/layers" \
        'def blob: "blobs/" + sub(":"; "/");
         [{Config: ($config[0].digest | blob), RepoTags: [$ref],
           Layers: [$layers[].digest | blob]}]' >"$work/manifest.json"

    rm -f "$work"/{layers,config.blob,manifest.blob}
    tar --create --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --format=gnu \
        --directory "$work" --file "$out.new" blobs index.json manifest.json oci-layout
    rm -rf "$work"
    mv "$out.new" "$out"
}

# archive_compressed_size FILE: bytes that a registry would hold: every blob, gzipped where it is not.
archive_compressed_size() {
    gzip -c -6 "$1" | wc -c
}
