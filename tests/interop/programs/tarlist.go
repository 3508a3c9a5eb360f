// Lists tar archives with Go's own reader, which container runtimes are built on: one line of
// JSON for each entry, and one for each archive that cannot be read. Names are in hexadecimal,
// because JSON has no bytes.
package main

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
)

type entry struct {
	File   string            `json:"file"`
	Error  string            `json:"error,omitempty"`
	Name   string            `json:"name"`
	Type   string            `json:"type"`
	Link   string            `json:"link"`
	Size   int64             `json:"size"`
	Mode   int64             `json:"mode"`
	UID    int               `json:"uid"`
	GID    int               `json:"gid"`
	Mtime  int64             `json:"mtime"`
	Major  int64             `json:"major"`
	Minor  int64             `json:"minor"`
	SHA256 string            `json:"sha256"`
	Xattrs map[string]string `json:"xattrs"`
}

func main() {
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	lines := json.NewEncoder(out)
	for _, file := range os.Args[1:] {
		err := list(file, func(one entry) error { return lines.Encode(one) })
		if err != nil {
			if err := lines.Encode(entry{File: file, Error: err.Error()}); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
		}
	}
}

func list(file string, each func(entry) error) error {
	blob, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var source io.Reader = bytes.NewReader(blob)
	if bytes.HasPrefix(blob, []byte{0x1f, 0x8b}) {
		if source, err = gzip.NewReader(source); err != nil {
			return err
		}
	}
	archive := tar.NewReader(source)
	for {
		header, err := archive.Next()
		if err == io.EOF {
			// The trailer of a compressed stream counts too.
			_, err = io.Copy(io.Discard, source)
			return err
		}
		if err != nil {
			return err
		}
		hash := sha256.New()
		if _, err := io.Copy(hash, archive); err != nil {
			return err
		}
		one := entry{
			File:   file,
			Name:   hex.EncodeToString([]byte(header.Name)),
			Type:   string(rune(header.Typeflag)),
			Link:   hex.EncodeToString([]byte(header.Linkname)),
			Size:   header.Size,
			Mode:   header.Mode,
			UID:    header.Uid,
			GID:    header.Gid,
			Mtime:  header.ModTime.Unix(),
			Major:  header.Devmajor,
			Minor:  header.Devminor,
			SHA256: hex.EncodeToString(hash.Sum(nil)),
			Xattrs: map[string]string{},
		}
		for key, value := range header.PAXRecords {
			if strings.HasPrefix(key, "SCHILY.xattr.") || strings.HasPrefix(key, "LIBARCHIVE.xattr.") {
				one.Xattrs[hex.EncodeToString([]byte(key))] = hex.EncodeToString([]byte(value))
			}
		}
		if err := each(one); err != nil {
			return err
		}
	}
}
