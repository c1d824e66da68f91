package main

import (
	"context"
	"encoding/json"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"
)

// resizer does for these volumes what external-resizer does for CSI ones: it grows the disk, then
// hands over to the kubelet by the same marks in the claim's status.
type resizer struct {
	client  kubernetes.Interface
	disks   *disks
	claims  corelisters.PersistentVolumeClaimLister
	volumes corelisters.PersistentVolumeLister
	synced  []cache.InformerSynced
	queue   workqueue.TypedRateLimitingInterface[string]
}

func newResizer(client kubernetes.Interface, disks *disks, f informers.SharedInformerFactory) *resizer {
	claims, volumes := f.Core().V1().PersistentVolumeClaims(), f.Core().V1().PersistentVolumes()
	r := &resizer{
		client: client, disks: disks, claims: claims.Lister(), volumes: volumes.Lister(),
		synced: []cache.InformerSynced{claims.Informer().HasSynced, volumes.Informer().HasSynced},
		queue:  workqueue.NewTypedRateLimitingQueue(retries()),
	}
	enqueue := func(object any) {
		if key, err := cache.MetaNamespaceKeyFunc(object); err == nil {
			r.queue.Add(key)
		}
	}
	_, _ = claims.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    enqueue,
		UpdateFunc: func(_, now any) { enqueue(now) },
	})
	return r
}

func (r *resizer) run(ctx context.Context) {
	defer r.queue.ShutDown()
	if !cache.WaitForCacheSync(ctx.Done(), r.synced...) {
		return
	}
	go func() { <-ctx.Done(); r.queue.ShutDown() }()
	for {
		key, quit := r.queue.Get()
		if quit {
			return
		}
		if err := r.resize(ctx, key); err != nil {
			klog.ErrorS(err, "resize", "claim", key)
			r.queue.AddRateLimited(key)
		} else {
			r.queue.Forget(key)
		}
		r.queue.Done(key)
	}
}

// resize brings one claim's volume up to the size asked for, when it is ours and smaller.
func (r *resizer) resize(ctx context.Context, key string) error {
	namespace, name, _ := cache.SplitMetaNamespaceKey(key)
	claim, err := r.claims.PersistentVolumeClaims(namespace).Get(name)
	if errors.IsNotFound(err) {
		return nil
	} else if err != nil {
		return err
	}
	want := claim.Spec.Resources.Requests[v1.ResourceStorage]
	have := claim.Status.Capacity[v1.ResourceStorage]
	if claim.Status.Phase != v1.ClaimBound || want.Cmp(have) <= 0 {
		return nil
	}
	volume, err := r.volumes.Get(claim.Spec.VolumeName)
	if err != nil {
		return err
	}
	if volume.Annotations["pv.kubernetes.io/provisioned-by"] != provisionerName {
		return nil
	}
	return r.expand(ctx, claim, volume, want)
}

// expand grows disk, then volume, then tells the kubelet; each step may be repeated.
func (r *resizer) expand(ctx context.Context, claim *v1.PersistentVolumeClaim,
	volume *v1.PersistentVolume, want resource.Quantity) error {
	now := volume.Spec.Capacity[v1.ResourceStorage]
	if want.Cmp(now) > 0 {
		if err := r.disks.grow(volume, want); err != nil {
			return err
		}
		patch := &v1.PersistentVolume{Spec: v1.PersistentVolumeSpec{
			Capacity: v1.ResourceList{v1.ResourceStorage: want}}}
		_, err := r.client.CoreV1().PersistentVolumes().Patch(ctx, volume.Name,
			types.StrategicMergePatchType, encode(patch), metav1.PatchOptions{})
		if err != nil {
			return err
		}
	}
	if _, told := claim.Status.AllocatedResourceStatuses[v1.ResourceStorage]; told {
		allocated := claim.Status.AllocatedResources[v1.ResourceStorage]
		if allocated.Cmp(want) == 0 {
			return nil
		}
	}
	return r.tellKubelet(ctx, claim, want)
}

func (r *resizer) tellKubelet(ctx context.Context, claim *v1.PersistentVolumeClaim,
	want resource.Quantity) error {
	status := v1.PersistentVolumeClaimStatus{
		AllocatedResources: v1.ResourceList{v1.ResourceStorage: want},
		AllocatedResourceStatuses: map[v1.ResourceName]v1.ClaimResourceStatus{
			v1.ResourceStorage: v1.PersistentVolumeClaimNodeResizePending,
		},
		Conditions: []v1.PersistentVolumeClaimCondition{{
			Type:               v1.PersistentVolumeClaimFileSystemResizePending,
			Status:             v1.ConditionTrue,
			LastTransitionTime: metav1.NewTime(time.Now()),
			Message: "Waiting for user to (re-)start a pod to finish file system resize of " +
				"volume on node.",
		}},
	}
	_, err := r.client.CoreV1().PersistentVolumeClaims(claim.Namespace).Patch(ctx, claim.Name,
		types.StrategicMergePatchType, encode(&v1.PersistentVolumeClaim{Status: status}),
		metav1.PatchOptions{}, "status")
	return err
}

// encode is JSON without the empty parts that the API's types would add to a patch.
func encode(object any) []byte {
	raw, _ := json.Marshal(object)
	var tree map[string]any
	_ = json.Unmarshal(raw, &tree)
	prune(tree)
	raw, _ = json.Marshal(tree)
	return raw
}

func prune(tree map[string]any) {
	for key, value := range tree {
		branch, is := value.(map[string]any)
		if is {
			prune(branch)
		}
		if value == nil || is && len(branch) == 0 {
			delete(tree, key)
		}
	}
}
