package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

// A class with the parameter `limited: "true"` gets a filesystem of exactly the size asked for, on a
// loop device over a file, so that a full disk can be tested. The others share the machine's disk.
const limitedParameter = "limited"

// XFS, since growing a mounted ext4 takes CAP_SYS_RESOURCE, which root in a container often lacks.
const limitedFSType = "xfs"

// mkfs.xfs refuses anything smaller.
var limitedMinimum = resource.MustParse("300Mi")

// fileAnnotation, on a limited volume, names the file behind its loop device.
const fileAnnotation = provisionerName + "-file"

// disks makes and removes what is behind a volume. It is the controller's Provisioner.
type disks struct {
	root   string
	client kubernetes.Interface
}

// Provision makes the volume on the node that the scheduler has chosen.
func (d *disks) Provision(ctx context.Context, o controller.ProvisionOptions) (
	*v1.PersistentVolume, controller.ProvisioningState, error) {
	if o.SelectedNodeName == "" {
		return nil, controller.ProvisioningFinished,
			errors.New("the StorageClass needs volumeBindingMode: WaitForFirstConsumer")
	}
	node, err := d.client.CoreV1().Nodes().Get(ctx, o.SelectedNodeName, metav1.GetOptions{})
	if err != nil {
		return nil, controller.ProvisioningNoChange, err
	}
	size := o.PVC.Spec.Resources.Requests[v1.ResourceStorage]
	limited := o.StorageClass.Parameters[limitedParameter] == "true"
	dir := filepath.Join(d.root, node.Name, "volumes", o.PVName)
	if limited && size.Cmp(limitedMinimum) < 0 {
		return nil, controller.ProvisioningFinished, fmt.Errorf(
			"StorageClass %s: %s asked for, at least %s needed",
			o.StorageClass.Name, size.String(), limitedMinimum.String())
	}
	path, file, err := makeDisk(dir, size, limited)
	if err != nil {
		return nil, controller.ProvisioningFinished, err
	}
	pv := describe(o, node, path, size)
	if limited {
		fsType := limitedFSType
		pv.Spec.Local.FSType = &fsType
		pv.Annotations = map[string]string{fileAnnotation: file}
	}
	return pv, controller.ProvisioningFinished, nil
}

// Delete removes the data with the volume.
func (d *disks) Delete(_ context.Context, pv *v1.PersistentVolume) error {
	dir := pv.Spec.Local.Path
	if file, limited := pv.Annotations[fileAnnotation]; limited {
		if _, err := losetup("--detach", pv.Spec.Local.Path); err != nil {
			return err
		}
		dir = filepath.Dir(file)
	}
	if !strings.HasPrefix(dir, d.root+"/") {
		return fmt.Errorf("refusing to remove %s: not below %s", dir, d.root)
	}
	return os.RemoveAll(dir)
}

// grow gives a limited volume's device its new size; the kubelet then grows the filesystem.
func (d *disks) grow(pv *v1.PersistentVolume, size resource.Quantity) error {
	file, limited := pv.Annotations[fileAnnotation]
	if !limited {
		return nil
	}
	if err := os.Truncate(file, size.Value()); err != nil {
		return err
	}
	_, err := losetup("--set-capacity", pv.Spec.Local.Path)
	return err
}

// makeDisk returns the path for the volume and, for a limited one, the file behind it.
// The folder is root:root 0755 as on a fresh cloud disk: without fsGroup only root writes there.
func makeDisk(dir string, size resource.Quantity, limited bool) (string, string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil || !limited {
		return dir, "", err
	}
	file := filepath.Join(dir, "disk")
	handle, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", "", err
	}
	defer handle.Close()
	if err := handle.Truncate(size.Value()); err != nil {
		return "", "", err
	}
	device, err := losetup("--associated", file, "--output", "NAME", "--noheadings")
	if err == nil && device == "" {
		device, err = losetup("--find", "--show", file)
	}
	return device, file, err
}

func losetup(args ...string) (string, error) {
	out, err := exec.Command("losetup", args...).CombinedOutput()
	text := strings.TrimSpace(string(out))
	if err != nil {
		return "", fmt.Errorf("losetup %s: %w: %s", strconv.Quote(strings.Join(args, " ")), err, text)
	}
	return text, nil
}

// describe is the PersistentVolume for a disk at path on node.
func describe(o controller.ProvisionOptions, node *v1.Node, path string,
	size resource.Quantity) *v1.PersistentVolume {
	term := v1.NodeSelectorTerm{MatchExpressions: []v1.NodeSelectorRequirement{{
		Key:      v1.LabelHostname,
		Operator: v1.NodeSelectorOpIn,
		Values:   []string{node.Labels[v1.LabelHostname]},
	}}}
	return &v1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: o.PVName},
		Spec: v1.PersistentVolumeSpec{
			PersistentVolumeReclaimPolicy: *o.StorageClass.ReclaimPolicy,
			AccessModes:                   o.PVC.Spec.AccessModes,
			VolumeMode:                    o.PVC.Spec.VolumeMode,
			MountOptions:                  o.StorageClass.MountOptions,
			Capacity:                      v1.ResourceList{v1.ResourceStorage: size},
			PersistentVolumeSource: v1.PersistentVolumeSource{
				Local: &v1.LocalVolumeSource{Path: path},
			},
			NodeAffinity: &v1.VolumeNodeAffinity{Required: &v1.NodeSelector{
				NodeSelectorTerms: []v1.NodeSelectorTerm{term},
			}},
		},
	}
}
