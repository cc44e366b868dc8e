// Nodes that are known to have no extended attributes. `ls -l`, `cp -a` and `rsync -X` ask for those of every file: what is
// here is answered without a turn of JavaScript. Of two nodes that share a place the later one is remembered.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace yore {

class PlainNodes {
 public:
  // 1 MiB when it is used. Numbers of nodes that were handed out together mostly follow each other.
  static constexpr size_t kPlaces = size_t{1} << 17;

  // A node number never comes to mean another object.
  void Add(uint64_t node) {
    if (nodes_.empty()) nodes_.resize(kPlaces);
    nodes_[node % kPlaces] = node;
  }
  bool Has(uint64_t node) const { return !nodes_.empty() && nodes_[node % kPlaces] == node; }

 private:
  std::vector<uint64_t> nodes_;
};

}  // namespace yore
