// Generate makes ../visavispb from the protos of Visavis, with nothing but Go: a compiler of protos that is a Go
// package, and the two usual plugins at the versions that go.mod pins. With protoc or buf at hand it would be one
// command; the protos carry no language options, so either is told the Go package of each file in the same words.
package main

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/protoutil"
	_ "google.golang.org/genproto/googleapis/rpc/status" // registers google/rpc/status.proto, which the protos import
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

const (
	protos  = "../../../protos" // go generate runs in the folder of the directive
	module  = "example.com/shop"
	visavis = module + "/visavispb"
)

func main() {
	log.SetFlags(0)
	paths, err := filepath.Glob(filepath.Join(protos, "visavis/api/v1/*.proto"))
	if err != nil || len(paths) == 0 {
		log.Fatalf("no protos in %s", protos)
	}
	parameters := []string{"module=" + module}
	var names []string
	for _, path := range paths {
		name, err := filepath.Rel(protos, path)
		if err != nil {
			log.Fatal(err)
		}
		names = append(names, filepath.ToSlash(name))
		parameters = append(parameters, fmt.Sprintf("M%s=%s", filepath.ToSlash(name), visavis))
	}
	request := &pluginpb.CodeGeneratorRequest{
		FileToGenerate: names,
		Parameter:      proto.String(strings.Join(parameters, ",")),
		ProtoFile:      compile(names),
	}
	if err := os.RemoveAll("visavispb"); err != nil {
		log.Fatal(err)
	}
	for _, plugin := range []string{"protoc-gen-go", "protoc-gen-go-grpc"} {
		for _, file := range run(plugin, request).GetFile() {
			if err := os.MkdirAll(filepath.Dir(file.GetName()), 0o777); err != nil {
				log.Fatal(err)
			}
			if err := os.WriteFile(file.GetName(), []byte(file.GetContent()), 0o666); err != nil {
				log.Fatal(err)
			}
		}
	}
}

// compile returns the files and all that they import, each after what it imports.
func compile(names []string) []*descriptorpb.FileDescriptorProto {
	registered := protocompile.ResolverFunc(func(path string) (protocompile.SearchResult, error) {
		file, err := protoregistry.GlobalFiles.FindFileByPath(path)
		return protocompile.SearchResult{Desc: file}, err
	})
	compiler := protocompile.Compiler{
		Resolver: protocompile.WithStandardImports(protocompile.CompositeResolver{
			&protocompile.SourceResolver{ImportPaths: []string{protos}}, registered,
		}),
		SourceInfoMode: protocompile.SourceInfoStandard, // comments of the protos become comments in Go
	}
	files, err := compiler.Compile(context.Background(), names...)
	if err != nil {
		log.Fatal(err)
	}
	var sorted []*descriptorpb.FileDescriptorProto
	var seen []string
	var add func(protoreflect.FileDescriptor)
	add = func(file protoreflect.FileDescriptor) {
		if slices.Contains(seen, file.Path()) {
			return
		}
		seen = append(seen, file.Path())
		for i := range file.Imports().Len() {
			add(file.Imports().Get(i).FileDescriptor)
		}
		sorted = append(sorted, protoutil.ProtoFromFileDescriptor(file))
	}
	for _, file := range files {
		add(file)
	}
	return sorted
}

// run asks a plugin of protoc what files it would write.
func run(plugin string, request *pluginpb.CodeGeneratorRequest) *pluginpb.CodeGeneratorResponse {
	input, err := proto.Marshal(request)
	if err != nil {
		log.Fatal(err)
	}
	command := exec.Command("go", "tool", plugin)
	command.Stdin, command.Stderr = bytes.NewReader(input), os.Stderr
	output, err := command.Output()
	if err != nil {
		log.Fatalf("%s: %v", plugin, err)
	}
	response := &pluginpb.CodeGeneratorResponse{}
	if err := proto.Unmarshal(output, response); err != nil {
		log.Fatal(err)
	}
	if response.Error != nil {
		log.Fatalf("%s: %s", plugin, response.GetError())
	}
	return response
}
