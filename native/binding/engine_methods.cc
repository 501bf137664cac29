// One method an operation: read the arguments, queue the job, say what it resolves to.
#include "binding/arguments.h"
#include "binding/engine_object.h"
#include "binding/network_values.h"
#include "binding/opening_values.h"
#include "binding/probe_values.h"
#include "binding/values.h"
#include "binding/wireguard_values.h"
#include "binding/xfrm_values.h"
#include "core/jobs.h"
#include "core/nft.h"
#include "core/opening_jobs.h"
#include "core/rtnl/jobs.h"
#include "core/rtnl/neighbours.h"
#include "core/wireguard/jobs.h"
#include "core/xfrm/jobs.h"

namespace corax {
namespace {

Napi::Value nothing(Napi::Env env, Job&) { return env.Undefined(); }

template <typename T>
T& as(Job& job) {
  return static_cast<T&>(job);
}

}  // namespace

Napi::Value EngineObject::network(const Info& info) {
  return submit(info.Env(), std::make_unique<NetworkJob>(readNetworkOps(info[0])),
                [](Napi::Env env, Job& job) { return values::errors(env, as<NetworkJob>(job).results); });
}

Napi::Value EngineObject::links(const Info& info) {
  return submit(info.Env(), std::make_unique<LinksJob>(),
                [](Napi::Env env, Job& job) { return toArray(env, as<LinksJob>(job).links); });
}

Napi::Value EngineObject::addresses(const Info& info) {
  return submit(info.Env(), std::make_unique<AddressesJob>(),
                [](Napi::Env env, Job& job) { return toArray(env, as<AddressesJob>(job).addresses); });
}

Napi::Value EngineObject::neighbours(const Info& info) {
  return submit(info.Env(), std::make_unique<NeighboursJob>(args::device(info[0], "device")),
                [](Napi::Env env, Job& job) { return toArray(env, as<NeighboursJob>(job).neighbours); });
}

Napi::Value EngineObject::routes(const Info& info) {
  const uint32_t table = args::integer(info[0], "table", 1, UINT32_MAX);
  const auto defaultsOnly =
      args::optional(info[1], [](const Napi::Value& it) { return args::boolean(it, "defaultsOnly"); });
  return submit(info.Env(), std::make_unique<RoutesJob>(table, defaultsOnly.value_or(false)),
                [](Napi::Env env, Job& job) {
                  auto& routes = as<RoutesJob>(job);
                  return toValue(env, routes.table(), std::move(routes.routes));
                });
}

Napi::Value EngineObject::rules(const Info& info) {
  return submit(info.Env(), std::make_unique<RulesJob>(),
                [](Napi::Env env, Job& job) { return toArray(env, as<RulesJob>(job).rules); });
}

Napi::Value EngineObject::routeTo(const Info& info) {
  const Ip address = args::ip(info[0], "address");
  const auto fwmark = args::optional(
      info[1], [](const Napi::Value& it) { return args::integer(it, "fwmark", 0, UINT32_MAX); });
  return submit(info.Env(), std::make_unique<RouteToJob>(address, fwmark),
                [](Napi::Env env, Job& job) { return toValue(env, *as<RouteToJob>(job).route); });
}

Napi::Value EngineObject::watchNetwork(const Info& info) {
  return submit(info.Env(), std::make_unique<WatchNetworkJob>(), nothing);
}

Napi::Value EngineObject::wgConfigure(const Info& info) {
  auto job = std::make_unique<WgConfigureJob>(args::device(info[0], "device"));
  readWgSettings(info[1], job->settings);
  return submit(info.Env(), std::move(job), nothing);
}

Napi::Value EngineObject::wgApply(const Info& info) {
  std::string device = args::device(info[0], "device");
  return submit(info.Env(), std::make_unique<WgApplyJob>(std::move(device), readPeerColumns(info[1])),
                [](Napi::Env env, Job& job) -> Napi::Value {
                  const Napi::Object result = Napi::Object::New(env);
                  result.Set("messages", Napi::Number::New(env, as<WgApplyJob>(job).messages));
                  return result;
                });
}

Napi::Value EngineObject::wgSnapshot(const Info& info) {
  return submit(info.Env(), std::make_unique<WgSnapshotJob>(args::device(info[0], "device")),
                [](Napi::Env env, Job& job) { return toValue(env, std::move(as<WgSnapshotJob>(job).snapshot)); });
}

Napi::Value EngineObject::wgDelta(const Info& info) {
  return submit(info.Env(), std::make_unique<WgDeltaJob>(args::device(info[0], "device")),
                [](Napi::Env env, Job& job) { return toValue(env, std::move(as<WgDeltaJob>(job).delta)); });
}

Napi::Value EngineObject::wgDestroy(const Info& info) {
  return submit(info.Env(), std::make_unique<WgDestroyJob>(args::device(info[0], "device")), nothing);
}

Napi::Value EngineObject::xfrmSnapshot(const Info& info) {
  return submit(info.Env(), std::make_unique<XfrmSnapshotJob>(),
                [](Napi::Env env, Job& job) { return toValue(env, std::move(as<XfrmSnapshotJob>(job).states)); });
}

Napi::Value EngineObject::xfrmDelta(const Info& info) {
  return submit(info.Env(), std::make_unique<XfrmDeltaJob>(),
                [](Napi::Env env, Job& job) { return toValue(env, std::move(as<XfrmDeltaJob>(job).delta)); });
}

Napi::Value EngineObject::xfrmPolicies(const Info& info) {
  return submit(info.Env(), std::make_unique<XfrmPoliciesJob>(),
                [](Napi::Env env, Job& job) { return toValue(env, std::move(as<XfrmPoliciesJob>(job).policies)); });
}

Napi::Value EngineObject::xfrmDelete(const Info& info) {
  return submit(info.Env(), std::make_unique<XfrmDeleteJob>(readXfrmDeletions(info[0])),
                [](Napi::Env env, Job& job) { return values::errors(env, as<XfrmDeleteJob>(job).results); });
}

Napi::Value EngineObject::watchXfrm(const Info& info) {
  return submit(info.Env(), std::make_unique<WatchXfrmJob>(), nothing);
}

Napi::Value EngineObject::nft(const Info& info) {
  return submit(info.Env(), std::make_unique<NftJob>(args::text(info[0], "json", Nft::maxInput)),
                [](Napi::Env env, Job& job) -> Napi::Value { return Napi::String::New(env, as<NftJob>(job).output); });
}

Napi::Value EngineObject::rawOpen(const Info& info) {
  RawOptions options = readRawOptions(info[0]);
  return submit(info.Env(), std::make_unique<RawOpenJob>(std::move(options.ports), options.fwmark), nothing);
}

Napi::Value EngineObject::rawSend(const Info& info) {
  return submit(info.Env(), std::make_unique<RawSendJob>(readRawPackets(info[0])),
                [](Napi::Env env, Job& job) { return values::errors(env, as<RawSendJob>(job).results); });
}

Napi::Value EngineObject::stunTap(const Info& info) {
  return submit(info.Env(), std::make_unique<StunTapJob>(args::boolean(info[0], "on")), nothing);
}

Napi::Value EngineObject::handshakeTap(const Info& info) {
  TapOptions options = readTapOptions(info[0]);
  return submit(info.Env(), std::make_unique<HandshakeTapJob>(std::move(options.device), std::move(options.ports)),
                nothing);
}

Napi::Value EngineObject::rendezvousOpen(const Info& info) {
  return submit(info.Env(), std::make_unique<RendezvousOpenJob>(readRendezvousPlace(info[0])), nothing);
}

Napi::Value EngineObject::rendezvousSend(const Info& info) {
  return submit(info.Env(), std::make_unique<RendezvousSendJob>(readRendezvousMessages(info[0])),
                [](Napi::Env env, Job& job) { return values::errors(env, as<RendezvousSendJob>(job).results); });
}

Napi::Value EngineObject::fanOpen(const Info& info) {
  return submit(info.Env(), std::make_unique<FanOpenJob>(readFanOptions(info[0])), nothing);
}

Napi::Value EngineObject::sprayStart(const Info& info) {
  return submit(info.Env(), std::make_unique<SprayStartJob>(readSprayOptions(info[0])), nothing);
}

Napi::Value EngineObject::openingEnd(const Info& info) {
  const uint32_t id = args::integer(info[0], "id", 0, UINT32_MAX);
  return submit(info.Env(), std::make_unique<OpeningEndJob>(id), nothing);
}

Napi::Value EngineObject::probeSet(const Info& info) {
  return submit(info.Env(), std::make_unique<ProbeSetJob>(readProbeTargets(info[0])), nothing);
}

Napi::Value EngineObject::probeRemove(const Info& info) {
  return submit(info.Env(), std::make_unique<ProbeRemoveJob>(readProbeIds(info[0])), nothing);
}

Napi::Value EngineObject::probeSnapshot(const Info& info) {
  return submit(info.Env(), std::make_unique<ProbeSnapshotJob>(),
                [](Napi::Env env, Job& job) { return toValue(env, std::move(as<ProbeSnapshotJob>(job).columns)); });
}

Napi::Value EngineObject::stats(const Info& info) {
  const Counters& counters = engine_->counters();
  const Napi::Object result = Napi::Object::New(info.Env());
  const auto set = [&](const char* name, uint64_t value) {
    result.Set(name, Napi::Number::New(info.Env(), static_cast<double>(value)));
  };
  set("wireguardMessages", counters.wireguard.messages);
  set("wireguardPeers", counters.wireguardPeers);
  set("routeMessages", counters.route.messages);
  set("xfrmMessages", counters.xfrm.messages);
  set("netlinkBytes", counters.wireguard.bytes + counters.route.bytes + counters.xfrm.bytes);
  set("dumpsInterrupted", counters.wireguard.dumpsInterrupted + counters.route.dumpsInterrupted + counters.xfrm.dumpsInterrupted);
  set("queueLength", engine_->queueLength());
  set("probesSent", counters.probesSent);
  set("nftTransactions", counters.nftTransactions);
  set("handshakesUnanswered", counters.handshakesUnanswered);
  return result;
}

Napi::Function EngineObject::define(Napi::Env env) {
  return DefineClass(env, "Engine",
                     {
                         InstanceMethod<&EngineObject::network>("network"),
                         InstanceMethod<&EngineObject::links>("links"),
                         InstanceMethod<&EngineObject::addresses>("addresses"),
                         InstanceMethod<&EngineObject::neighbours>("neighbours"),
                         InstanceMethod<&EngineObject::routes>("routes"),
                         InstanceMethod<&EngineObject::rules>("rules"),
                         InstanceMethod<&EngineObject::routeTo>("routeTo"),
                         InstanceMethod<&EngineObject::watchNetwork>("watchNetwork"),
                         InstanceMethod<&EngineObject::wgConfigure>("wgConfigure"),
                         InstanceMethod<&EngineObject::wgApply>("wgApply"),
                         InstanceMethod<&EngineObject::wgSnapshot>("wgSnapshot"),
                         InstanceMethod<&EngineObject::wgDelta>("wgDelta"),
                         InstanceMethod<&EngineObject::wgDestroy>("wgDestroy"),
                         InstanceMethod<&EngineObject::xfrmSnapshot>("xfrmSnapshot"),
                         InstanceMethod<&EngineObject::xfrmDelta>("xfrmDelta"),
                         InstanceMethod<&EngineObject::xfrmPolicies>("xfrmPolicies"),
                         InstanceMethod<&EngineObject::xfrmDelete>("xfrmDelete"),
                         InstanceMethod<&EngineObject::watchXfrm>("watchXfrm"),
                         InstanceMethod<&EngineObject::nft>("nft"),
                         InstanceMethod<&EngineObject::rawOpen>("rawOpen"),
                         InstanceMethod<&EngineObject::rawSend>("rawSend"),
                         InstanceMethod<&EngineObject::stunTap>("stunTap"),
                         InstanceMethod<&EngineObject::handshakeTap>("handshakeTap"),
                         InstanceMethod<&EngineObject::rendezvousOpen>("rendezvousOpen"),
                         InstanceMethod<&EngineObject::rendezvousSend>("rendezvousSend"),
                         InstanceMethod<&EngineObject::fanOpen>("fanOpen"),
                         InstanceMethod<&EngineObject::sprayStart>("sprayStart"),
                         InstanceMethod<&EngineObject::openingEnd>("openingEnd"),
                         InstanceMethod<&EngineObject::probeSet>("probeSet"),
                         InstanceMethod<&EngineObject::probeRemove>("probeRemove"),
                         InstanceMethod<&EngineObject::probeSnapshot>("probeSnapshot"),
                         InstanceMethod<&EngineObject::stats>("stats"),
                         InstanceMethod<&EngineObject::close>("close"),
                     });
}

}  // namespace corax
