// Asks the policy of podman, skopeo and CRI-O whether an image may be used.
//
//	policy-check POLICY REGISTRIES.D HOST/NAME@DIGEST
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/containers/image/v5/docker"
	"github.com/containers/image/v5/image"
	"github.com/containers/image/v5/signature"
	"github.com/containers/image/v5/types"
)

func main() {
	if err := allowed(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, "refused:", err)
		os.Exit(1)
	}
}

func allowed(policy, registries, reference string) error {
	system := &types.SystemContext{
		SignaturePolicyPath:         policy,
		RegistriesDirPath:           registries,
		DockerInsecureSkipTLSVerify: types.OptionalBoolTrue,
	}
	read, err := signature.DefaultPolicy(system)
	if err != nil {
		return err
	}
	judge, err := signature.NewPolicyContext(read)
	if err != nil {
		return err
	}
	parsed, err := docker.ParseReference("//" + reference)
	if err != nil {
		return err
	}
	source, err := parsed.NewImageSource(context.Background(), system)
	if err != nil {
		return err
	}
	defer source.Close()
	_, err = judge.IsRunningImageAllowed(context.Background(), image.UnparsedInstance(source, nil))
	return err
}
