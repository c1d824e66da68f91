// Command volumes makes the test cluster's PersistentVolumes: one folder per volume below the
// chosen node's own folder, as a `local` PersistentVolume. Unlike hostPath, a local volume honours
// fsGroup and pins its pods to the node as a real disk does.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

// provisionerName is what the StorageClasses name.
const provisionerName = "testcluster.pgkeel.dev/volumes"

func main() {
	klog.InitFlags(nil)
	kubeconfig := flag.String("kubeconfig", "", "kubeconfig of the cluster")
	root := flag.String("nodes", "", "folder that holds one folder per node")
	flag.Parse()
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err == nil && *root == "" {
		err = fmt.Errorf("--nodes is required")
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "volumes: %v\n", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	run(ctx, config, *root)
}

// run serves until ctx ends. Provisioner and resizer each hold their own view of the cluster.
func run(ctx context.Context, config *rest.Config, root string) {
	config.QPS, config.Burst = 200, 400
	client := kubernetes.NewForConfigOrDie(config)
	disks := &disks{root: root, client: client}

	factory := informers.NewSharedInformerFactory(client, 0)
	resizer := newResizer(client, disks, factory)
	factory.Start(ctx.Done())
	go resizer.run(ctx)

	controller.NewProvisionController(ctx, client, provisionerName, disks,
		controller.LeaderElection(false),
		controller.Threadiness(16),
		controller.RateLimiter(retries()),
	).Run(ctx)
}

// retries starts quick: on one machine nothing gets better by waiting long.
func retries() workqueue.TypedRateLimiter[string] {
	return workqueue.NewTypedItemExponentialFailureRateLimiter[string](
		50*time.Millisecond, 15*time.Second)
}
