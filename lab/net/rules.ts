/** Firewall rules of nodes and of the inet router: what real machines have, and what a test needs to break. */

/** An edge's host firewall: nothing comes in but the tunnel's port, answers, and who is who on an IPv6 link. No pings either. */
export function hostFirewall(): string {
  return `table inet hostfw
delete table inet hostfw
table inet hostfw {
  chain input {
    type filter hook input priority 0; policy drop;
    ct state established,related accept
    iifname "lo" accept
    udp dport 4500 accept
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
  }
}
`;
}

/** kube-proxy's rule against half-seen connections. */
export function kubeProxyRules(): string {
  return `table ip kube-proxy {
  chain forward { type filter hook forward priority 0; ct state invalid counter drop; }
}
`;
}

/** A CNI's masquerade: pod traffic that leaves the node's own pods looks like the node's. */
export function cniRules(podSubnet: string): string {
  return `table ip cni {
  chain postrouting {
    type nat hook postrouting priority 100;
    ip saddr ${podSubnet} ip daddr != ${podSubnet} masquerade
  }
}
`;
}

/** On inet: ways that are cut (source . destination), and hosts without UDP. */
export const FAULT_RULES = `table ip faults {
  set cuts { type ipv4_addr . ipv4_addr; }
  set noudp { type ipv4_addr; }
  chain forward {
    type filter hook forward priority 0;
    ip saddr . ip daddr @cuts drop
    meta l4proto udp ip saddr @noudp drop
    meta l4proto udp ip daddr @noudp drop
  }
}
table ip6 faults {
  set cuts { type ipv6_addr . ipv6_addr; }
  chain forward {
    type filter hook forward priority 0;
    ip6 saddr . ip6 daddr @cuts drop
  }
}
`;
