// Edges by the thousand, as a relay's kernel sees them: each has a key and an address of its own, completes a
// WireGuard handshake with the relay, and confirms it with a keepalive, so that its hole appears or moves there.
//
//	load RELAY:PORT RELAY_KEY PSK FIRST COUNT MOVE RATE
//
// Keys are base64. Edge number i has the private key SHA-256("corax bench private i"), clamped, and the address and
// port that bench/peers/records.ts gives it at that move; the addresses must be local (an AnyIP route). Starts RATE
// handshakes a second, tries again what stayed unanswered for 5 s, and prints a line for each edge that is done:
// its number and the Unix time in milliseconds of its first packet.
package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/flynn/noise"
	"golang.org/x/crypto/blake2s"
	"golang.org/x/crypto/curve25519"
)

const (
	// linux/net/wireguard/messages.h and the protocol's paper, 5.4.
	prologue   = "WireGuard v1 zx2c4 Jason@zx2c4.com"
	initiation = 1
	response   = 2
	data       = 4
	tai64Epoch = 0x400000000000000a
	patience   = 5 * time.Second
	tries      = 12
)

var suite = noise.NewCipherSuite(noise.DH25519, noise.CipherChaChaPoly, noise.HashBLAKE2s)

type relay struct {
	address *net.UDPAddr
	key     []byte
	psk     []byte
	macKey  []byte
}

func must[T any](value T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
	return value
}

func privateKey(index int) []byte {
	key := sha256.Sum256([]byte("corax bench private " + strconv.Itoa(index)))
	key[0] &= 248
	key[31] = key[31]&127 | 64
	return key[:]
}

func local(index, move int) *net.UDPAddr {
	ip := net.IPv4(198, byte(18+(index>>16)), byte(index>>8), byte(index))
	return &net.UDPAddr{IP: ip, Port: 1024 + (index*7+move*13)%60000}
}

func tai64n(now time.Time) []byte {
	stamp := make([]byte, 12)
	binary.BigEndian.PutUint64(stamp, uint64(tai64Epoch+now.Unix()))
	binary.BigEndian.PutUint32(stamp[8:], uint32(now.Nanosecond()))
	return stamp
}

// The 148 bytes of a handshake initiation.
func (r *relay) initiate(state *noise.HandshakeState, sender uint32) ([]byte, error) {
	message := make([]byte, 8, 148)
	message[0] = initiation
	binary.LittleEndian.PutUint32(message[4:], sender)
	message, _, _, err := state.WriteMessage(message, tai64n(time.Now()))
	if err != nil {
		return nil, err
	}
	mac, err := blake2s.New128(r.macKey)
	if err != nil {
		return nil, err
	}
	mac.Write(message)
	message = mac.Sum(message)
	return append(message, make([]byte, 16)...), nil
}

// One handshake; the time of its first packet.
func (r *relay) connect(index, move int) (time.Time, error) {
	socket, err := net.ListenUDP("udp4", local(index, move))
	if err != nil {
		return time.Time{}, err
	}
	defer socket.Close()
	private := privateKey(index)
	public, err := curve25519.X25519(private, curve25519.Basepoint)
	if err != nil {
		return time.Time{}, err
	}
	var began time.Time
	for try := 0; try < tries; try++ {
		state, err := noise.NewHandshakeState(noise.Config{
			CipherSuite: suite, Pattern: noise.HandshakeIK, Initiator: true, Prologue: []byte(prologue),
			PresharedKey: r.psk, PresharedKeyPlacement: 2,
			StaticKeypair: noise.DHKey{Private: private, Public: public}, PeerStatic: r.key,
		})
		if err != nil {
			return began, err
		}
		message, err := r.initiate(state, uint32(index)<<8|uint32(try))
		if err != nil {
			return began, err
		}
		if began.IsZero() {
			began = time.Now()
		}
		if _, err := socket.WriteToUDP(message, r.address); err != nil {
			return began, err
		}
		if r.finish(socket, state) {
			return began, nil
		}
	}
	return began, fmt.Errorf("edge %d: no answer to %d initiations", index, tries)
}

// Waits for the answer and confirms it with a keepalive.
func (r *relay) finish(socket *net.UDPConn, state *noise.HandshakeState) bool {
	buffer := make([]byte, 256)
	deadline := time.Now().Add(patience)
	for {
		socket.SetReadDeadline(deadline)
		size, _, err := socket.ReadFromUDP(buffer)
		if err != nil {
			return false
		}
		if size != 92 || buffer[0] != response {
			continue
		}
		_, send, _, err := state.ReadMessage(nil, buffer[12:60])
		if err != nil {
			return false
		}
		keepalive := make([]byte, 16, 32)
		keepalive[0] = data
		copy(keepalive[4:8], buffer[4:8])
		keepalive, err = send.Encrypt(keepalive, nil, nil)
		if err != nil {
			return false
		}
		_, err = socket.WriteToUDP(keepalive, r.address)
		return err == nil
	}
}

func main() {
	key := must(base64.StdEncoding.DecodeString(os.Args[2]))
	macKey := blake2s.Sum256(append([]byte("mac1----"), key...))
	target := &relay{
		address: must(net.ResolveUDPAddr("udp4", os.Args[1])),
		key:     key,
		psk:     must(base64.StdEncoding.DecodeString(os.Args[3])),
		macKey:  macKey[:],
	}
	first, count := must(strconv.Atoi(os.Args[4])), must(strconv.Atoi(os.Args[5]))
	move, rate := must(strconv.Atoi(os.Args[6])), must(strconv.Atoi(os.Args[7]))
	var waiting sync.WaitGroup
	var print sync.Mutex
	failed := false
	ticker := time.NewTicker(time.Second / time.Duration(rate))
	for index := first; index < first+count; index++ {
		<-ticker.C
		waiting.Add(1)
		go func(index int) {
			defer waiting.Done()
			began, err := target.connect(index, move)
			print.Lock()
			defer print.Unlock()
			if err != nil {
				failed = true
				fmt.Fprintln(os.Stderr, "load:", err)
				return
			}
			fmt.Println(index, began.UnixMilli())
		}(index)
	}
	waiting.Wait()
	if failed {
		os.Exit(1)
	}
}
