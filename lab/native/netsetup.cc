// Sets up network namespaces from a script on standard input, in as few processes as can be: in the emulated
// machine every exec costs tens of milliseconds, and a lab has ten namespaces and more.
//
//   netns NAME            go on in /run/netns/NAME
//   sysctl PATH VALUE     below /proc/sys/net
//   ip BYTES              that many bytes follow: lines of `ip -batch`
//   tc BYTES              likewise, of `tc -batch`
//   nft BYTES             likewise, one transaction of nft(8), run in-process
//
// Exit code 0 when all went well; else what failed is on standard error and nothing further was done.
#include <fcntl.h>
#include <nftables/libnftables.h>
#include <sched.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <iostream>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>

extern char** environ;

namespace {

struct FileDescriptor {
  explicit FileDescriptor(int opened, const std::string& what) : fd(opened) {
    if (fd < 0) throw std::runtime_error(what + ": " + std::strerror(errno));
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  ~FileDescriptor() { close(fd); }
  const int fd;
};

void write_all(int fd, const std::string& text, const std::string& what) {
  for (size_t done = 0; done < text.size();) {
    const ssize_t written = write(fd, text.data() + done, text.size() - done);
    if (written < 0) throw std::runtime_error(what + ": " + std::strerror(errno));
    done += static_cast<size_t>(written);
  }
}

void enter(const std::string& name) {
  const std::string path = "/run/netns/" + name;
  const FileDescriptor ns(open(path.c_str(), O_RDONLY | O_CLOEXEC), path);
  if (setns(ns.fd, CLONE_NEWNET) != 0) throw std::runtime_error(path + ": " + std::strerror(errno));
}

void set_sysctl(const std::string& name, const std::string& value) {
  const std::string path = "/proc/sys/net/" + name;
  const FileDescriptor file(open(path.c_str(), O_WRONLY | O_CLOEXEC), path);
  write_all(file.fd, value, path);
}

// ip and tc read their batch from a file that is only in memory.
void run_batch(const char* program, const std::string& text) {
  const FileDescriptor batch(memfd_create(program, 0), "memfd_create");
  write_all(batch.fd, text, "memfd");
  lseek(batch.fd, 0, SEEK_SET);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, batch.fd, STDIN_FILENO);
  const char* const arguments[] = {program, "-batch", "-", nullptr};
  pid_t pid = 0;
  const int failure = posix_spawnp(&pid, program, &actions, nullptr, const_cast<char* const*>(arguments), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failure != 0) throw std::runtime_error(std::string(program) + ": " + std::strerror(failure));
  int status = 0;
  waitpid(pid, &status, 0);
  if (status != 0) throw std::runtime_error(std::string(program) + " -batch failed");
}

void run_nft(const std::string& text) {
  // A context holds a netlink socket, which belongs to the namespace that it was opened in.
  const std::unique_ptr<nft_ctx, decltype(&nft_ctx_free)> context(nft_ctx_new(NFT_CTX_DEFAULT), nft_ctx_free);
  if (!context) throw std::runtime_error("nft_ctx_new failed");
  nft_ctx_set_error(context.get(), stderr);
  if (nft_run_cmd_from_buffer(context.get(), text.c_str()) != 0) throw std::runtime_error("nft failed");
}

std::string read_block(std::istream& in, size_t bytes) {
  std::string text(bytes, '\0');
  in.read(text.data(), static_cast<std::streamsize>(bytes));
  if (in.gcount() != static_cast<std::streamsize>(bytes)) throw std::runtime_error("the script ends too early");
  return text;
}

void run_script(std::istream& in, std::string& where) {
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string command, first, second;
    words >> command >> first >> second;
    if (command == "netns") {
      where = first;
      enter(first);
    } else if (command == "sysctl") {
      set_sysctl(first, second);
    } else if (command == "ip" || command == "tc") {
      run_batch(command.c_str(), read_block(in, std::stoul(first)));
    } else if (command == "nft") {
      run_nft(read_block(in, std::stoul(first)));
    } else if (!command.empty()) {
      throw std::runtime_error("unknown command " + command);
    }
  }
}

}  // namespace

int main() {
  std::string where = "(start)";
  try {
    run_script(std::cin, where);
    return 0;
  } catch (const std::exception& failure) {
    std::cerr << "netsetup: in " << where << ": " << failure.what() << '\n';
    return 1;
  }
}
