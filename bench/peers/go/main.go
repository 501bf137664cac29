// The same work as ../raw.c through wgctrl-go, what most Go control planes use. Arguments and output as there.
package main

import (
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	"golang.zx2c4.com/wireguard/wgctrl"
	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"
)

const (
	recordSize = 80
	remove     = 1
	updateOnly = 4
	endpoint   = 8
	preshared  = 16
	keepalive  = 32
)

func must[T any](value T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, "wgctrl:", err)
		os.Exit(1)
	}
	return value
}

func load(path string) []wgtypes.PeerConfig {
	data := must(os.ReadFile(path))
	peers := make([]wgtypes.PeerConfig, 0, len(data)/recordSize)
	for ; len(data) >= recordSize; data = data[recordSize:] {
		flags := data[64]
		peer := wgtypes.PeerConfig{
			PublicKey:  wgtypes.Key(data[0:32]),
			Remove:     flags&remove != 0,
			UpdateOnly: flags&updateOnly != 0,
		}
		if flags&preshared != 0 {
			key := wgtypes.Key(data[32:64])
			peer.PresharedKey = &key
		}
		if flags&endpoint != 0 {
			port := int(binary.LittleEndian.Uint16(data[68:70]))
			peer.Endpoint = &net.UDPAddr{IP: net.IP(data[72:76]), Port: port}
		}
		if flags&keepalive != 0 {
			interval := time.Duration(binary.LittleEndian.Uint16(data[66:68])) * time.Second
			peer.PersistentKeepaliveInterval = &interval
		}
		if length := int(data[65]); length > 0 {
			peer.AllowedIPs = []net.IPNet{{IP: net.IP(data[76:80]), Mask: net.CIDRMask(length, 32)}}
		}
		peers = append(peers, peer)
	}
	return peers
}

func main() {
	device, times := os.Args[2], must(strconv.Atoi(os.Args[3]))
	client := must(wgctrl.New())
	var files [][]wgtypes.PeerConfig
	for _, path := range os.Args[4:] {
		files = append(files, load(path))
	}
	for turn := 0; turn < times; turn++ {
		var count int
		start := time.Now()
		if len(files) == 0 {
			count = len(must(client.Device(device)).Peers)
		} else {
			peers := files[turn%len(files)]
			count = len(peers)
			must(0, client.ConfigureDevice(device, wgtypes.Config{Peers: peers}))
		}
		fmt.Println(time.Since(start).Nanoseconds(), count)
	}
}
