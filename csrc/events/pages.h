// An array whose memory comes from the system and goes back to it at once: the heap keeps what is freed in
// it, for ever where a neighbour is still in use.
#pragma once
#include <sys/mman.h>

#include <cstddef>
#include <new>
#include <utility>

namespace canthus {

template <class T>
class Pages {
 public:
  Pages() = default;
  explicit Pages(size_t count) : count_(count) {
    void* taken = mmap(nullptr, bytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (taken == MAP_FAILED) throw std::bad_alloc();
    data_ = static_cast<T*>(taken);
  }
  Pages(Pages&& other) noexcept { *this = std::move(other); }
  Pages& operator=(Pages&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(count_, other.count_);
    return *this;
  }
  ~Pages() {
    if (data_) munmap(data_, bytes());
  }

  T* get() const { return data_; }
  T& operator[](size_t i) const { return data_[i]; }

 private:
  size_t bytes() const { return count_ * sizeof(T); }

  T* data_ = nullptr;
  size_t count_ = 0;
};

}  // namespace canthus
