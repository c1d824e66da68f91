/*
 * Every reason that a condition, a wait or an event may carry, besides those of the API server
 * itself. docs/status.md explains each one; a test keeps the two in step, both ways.
 */
#pragma once

/* All is well */
#define REASON_HEALTHY            "Healthy"
#define REASON_SERVING            "Serving"
#define REASON_STREAMING          "Streaming"
#define REASON_NO_REPLICAS        "NoReplicas"
#define REASON_IN_SYNC            "InSync"
#define REASON_COMPLETE           "Complete"
#define REASON_PROVISIONED        "Provisioned"
#define REASON_EVICTION_ALLOWED   "EvictionAllowed"
#define REASON_CERTIFICATES_VALID "CertificatesValid"

/* What prevents a drain */
#define REASON_SINGLE_INSTANCE      "SingleInstance"
#define REASON_INSTANCE_UNAVAILABLE "InstanceUnavailable"

/* The spec, the cluster object, the namespace */
#define REASON_INVALID_SPEC          "InvalidSpec"
#define REASON_DELETING              "Deleting"
#define REASON_NAMESPACE_TERMINATING "NamespaceTerminating"

/* Writing the objects */
#define REASON_APPLY_PENDING    "ApplyPending"
#define REASON_APPLY_FAILED     "ApplyFailed"
#define REASON_APPLY_REFUSED    "ApplyRefused"
#define REASON_FORBIDDEN        "Forbidden"
#define REASON_QUOTA_EXCEEDED   "QuotaExceeded"
#define REASON_NAME_COLLISION   "NameCollision"
#define REASON_OBJECT_DELETING  "ObjectDeleting"
#define REASON_OBJECT_CONTESTED "ObjectContested"

/* Credentials */
#define REASON_CREDENTIALS_INCOMPLETE   "CredentialsIncomplete"
#define REASON_CREDENTIALS_PENDING      "CredentialsPending"
#define REASON_CERTIFICATE_EXPIRED      "CertificateExpired"
#define REASON_CERTIFICATE_INVALID      "CertificateInvalid"
#define REASON_SECRET_MISSING           "SecretMissing"
#define REASON_SECRET_KEY_MISSING       "SecretKeyMissing"
#define REASON_SECRET_USERNAME_MISMATCH "SecretUsernameMismatch"
#define REASON_PASSWORD_INVALID         "PasswordInvalid"
#define REASON_PRIMARY_NOT_READY        "PrimaryNotReady"

/* Certificates, while all of them work */
#define REASON_CA_REPLACING         "CaReplacing"
#define REASON_CA_EXPIRING          "CaExpiring"
#define REASON_CERTIFICATE_EXPIRING "CertificateExpiring"
#define REASON_REPLACE_CA_REFUSED   "ReplaceCaRefused"

/* Volumes */
#define REASON_VOLUME_MISSING          "VolumeMissing"
#define REASON_VOLUME_PENDING          "VolumePending"
#define REASON_STORAGE_CLASS_MISSING   "StorageClassMissing"
#define REASON_VOLUME_LOST             "VolumeLost"
#define REASON_VOLUME_NODE_GONE        "VolumeNodeGone"
#define REASON_VOLUME_DELETING         "VolumeDeleting"
#define REASON_VOLUME_RESIZING         "VolumeResizing"
#define REASON_EXPANSION_REFUSED       "ExpansionRefused"
#define REASON_SHRINK_REFUSED          "ShrinkRefused"
#define REASON_STORAGE_CLASS_IMMUTABLE "StorageClassImmutable"
#define REASON_VOLUME_FILLING          "VolumeFilling"
#define REASON_VOLUME_FULL             "VolumeFull"
#define REASON_VOLUME_USE_UNKNOWN      "VolumeUseUnknown"

/* Who is primary, and from which data */
#define REASON_BOOTSTRAP_BLOCKED       "BootstrapBlocked"
#define REASON_VOLUME_UNKNOWN          "VolumeUnknown"
#define REASON_DATA_VOLUME_EMPTY       "DataVolumeEmpty"
#define REASON_VOLUME_OUTDATED         "VolumeOutdated"
#define REASON_LEASE_NOT_HELD          "LeaseNotHeld"
#define REASON_LEASE_RELEASED          "LeaseReleased"
#define REASON_LEASE_HOLDER_GONE       "LeaseHolderGone"
#define REASON_LEASE_OVERDUE           "LeaseOverdue"
#define REASON_LEASE_UNSEEN            "LeaseUnseen"
#define REASON_ENDPOINT_FOREIGN        "EndpointForeign"
#define REASON_ENDPOINT_PENDING        "EndpointPending"
#define REASON_BOOTSTRAPPING           "Bootstrapping"
#define REASON_UNEXPECTED_PRIMARY      "UnexpectedPrimary"
#define REASON_PRIMARY_ABOVE_INSTANCES "PrimaryAboveInstances"

/* One instance's pod */
#define REASON_INSTANCE_MISSING         "InstanceMissing"
#define REASON_POD_MISSING              "PodMissing"
#define REASON_POD_CREATE_FAILED        "PodCreateFailed"
#define REASON_POD_TERMINATING          "PodTerminating"
#define REASON_POD_FAILED               "PodFailed"
#define REASON_POD_STARTING             "PodStarting"
#define REASON_POD_PREEMPTED            "PodPreempted"
#define REASON_POD_EVICTED              "PodEvicted"
#define REASON_NODE_UNREACHABLE         "NodeUnreachable"
#define REASON_UNSCHEDULABLE            "Unschedulable"
#define REASON_IMAGE_PULL_FAILED        "ImagePullFailed"
#define REASON_INVALID_IMAGE_NAME       "InvalidImageName"
#define REASON_CONTAINER_CONFIG_INVALID "ContainerConfigInvalid"
#define REASON_CONTAINER_FAILED         "ContainerFailed"
#define REASON_CRASH_LOOPING            "CrashLooping"

/* One instance's agent and server */
#define REASON_AGENT_STARTING   "AgentStarting"
#define REASON_INSTANCE_WAITING "InstanceWaiting"
#define REASON_INSTANCE_FAILED  "InstanceFailed"
#define REASON_STARTING         "Starting"
#define REASON_INITIALIZING     "Initializing"
#define REASON_CLONING          "Cloning"
#define REASON_RECOVERING       "Recovering"
#define REASON_RESTARTING       "Restarting"
#define REASON_STOPPING         "Stopping"
#define REASON_ROLE_CHANGING    "RoleChanging"
#define REASON_NOT_ACCEPTING    "NotAccepting"
#define REASON_NOT_STREAMING    "NotStreaming"
#define REASON_SLOT_LOST        "SlotLost"
#define REASON_REPLICA_LAGGING  "ReplicaLagging"

/* What agents report themselves */
#define REASON_VOLUME_IN_USE              "VolumeInUse"
#define REASON_VOLUME_FOREIGN             "VolumeForeign"
#define REASON_WAL_VOLUME_LOST            "WalVolumeLost"
#define REASON_VOLUME_UNREADABLE          "VolumeUnreadable"
#define REASON_DATA_INVALID               "DataInvalid"
#define REASON_SYSTEM_IDENTIFIER_MISMATCH "SystemIdentifierMismatch"
#define REASON_WAL_GONE                   "WalGone"
#define REASON_WAL_MISSING                "WalMissing"
#define REASON_NO_POSTGRES                "NoPostgres"
#define REASON_VERSION_MISMATCH           "VersionMismatch"
#define REASON_CONFIG_INVALID             "ConfigInvalid"
#define REASON_PREPARED_TRANSACTIONS      "PreparedTransactions"
#define REASON_API_UNREACHABLE            "ApiUnreachable"
#define REASON_WAITING_FOR_GRANT          "WaitingForGrant"
#define REASON_WAITING_FOR_LEASE          "WaitingForLease"
#define REASON_WAITING_FOR_PRIMARY        "WaitingForPrimary"
#define REASON_INITDB_FAILED              "InitdbFailed"
#define REASON_CLONE_FAILED               "CloneFailed"
#define REASON_ROLES_FAILED               "RolesFailed"
#define REASON_NOT_HOLDER                 "NotHolder"
#define REASON_SUPERSEDED                 "Superseded"

/* Changes under way */
#define REASON_CONFIGURATION_PENDING "ConfigurationPending"
#define REASON_ROLLOUT_PENDING       "RolloutPending"
#define REASON_RESTART_PENDING       "RestartPending"
#define REASON_RESTART_INEFFECTIVE   "RestartIneffective"
#define REASON_SCALING_DOWN          "ScalingDown"

/* Events only */
#define REASON_PHASE_CHANGED     "PhaseChanged"
#define REASON_BOOTSTRAP_GRANTED "BootstrapGranted"
#define REASON_INSTANCE_CREATED  "InstanceCreated"
#define REASON_ROLLING_POD       "RollingPod"
#define REASON_RESTART_ORDERED   "RestartOrdered"
#define REASON_VOLUME_GROWING    "VolumeGrowing"
#define REASON_OBJECT_REMOVED    "ObjectRemoved"
#define REASON_DRIFT_REPAIRED    "DriftRepaired"
#define REASON_CA_REPLACED       "CaReplaced"
#define REASON_POSTGRES_CRASHED  "PostgresCrashed"
