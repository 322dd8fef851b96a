#include "events/event_window.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <type_traits>

#include "dispatch.h"
#include "events/kernel.h"

namespace canthus {

namespace events {
CANTHUS_DEFINE_DISPATCH
}

namespace {

constexpr size_t smallest_capacity = 1 << 16;

// Truncates, as the images that the network learnt from do: no event is 127, not 128.
uint8_t grey_of(float potential) { return static_cast<uint8_t>(potential * 255.0f); }

int64_t before(int64_t time, int64_t duration) {
  return time < INT64_MIN + duration ? INT64_MIN : time - duration;
}

}  // namespace

EventWindow::EventWindow(int width, int height, float contribution, float neutral, int64_t kept_us,
                         size_t at_most)
    : width_(width),
      height_(height),
      contribution_(contribution),
      neutral_(neutral),
      kept_us_(kept_us),
      at_most_(at_most) {
  if (width < 1 || height < 1 || width > 32767 || height > 32767)
    throw std::invalid_argument("a sensor has 1 to 32767 columns and rows");
  if (!(contribution > 0.0f && contribution <= 1.0f))
    throw std::invalid_argument("an event's contribution lies within (0, 1]");
  if (!(neutral >= 0.0f && neutral <= 1.0f))
    throw std::invalid_argument("the neutral potential lies within [0, 1]");
  if (kept_us < 1 || at_most < 1)
    throw std::invalid_argument("a window keeps at least 1 event for 1 microsecond");
  if (!find_grey_steps()) potentials_.resize(static_cast<size_t>(width) * height);
}

float EventWindow::moved(float potential, int polarity) const {
  return std::clamp(polarity ? potential + contribution_ : potential - contribution_, 0.0f, 1.0f);
}

bool EventWindow::find_grey_steps() {
  std::array<float, 256> potential_of;
  potential_of.fill(-1.0f);
  potential_of[grey_of(neutral_)] = neutral_;
  std::vector<float> found{neutral_};
  while (!found.empty()) {
    const float from = found.back();
    found.pop_back();
    for (int polarity : {0, 1}) {
      const float to = moved(from, polarity);
      const uint8_t grey = grey_of(to);
      if (potential_of[grey] < 0.0f) {
        potential_of[grey] = to;
        found.push_back(to);
      } else if (potential_of[grey] != to) {
        return false;
      }
      grey_steps_[grey_of(from) * 2 + polarity] = grey;
    }
  }
  return true;
}

template <class Coordinate>
size_t EventWindow::first_refused(const EventPacket<Coordinate>& packet) const {
  size_t i = 0;
  while (valid(packet, i) && packet.t[i] >= (i ? packet.t[i - 1] : newest_)) ++i;
  return i;
}

template <class Coordinate>
std::optional<size_t> EventWindow::push(const EventPacket<Coordinate>& packet) {
  const size_t count = packet.count;
  if (count == 0) return std::nullopt;
  make_room(count);
  // Written behind the live events while they are checked; they live only if none was refused.
  const events::Kernel& kernel = events::fastest_kernel();
  const auto pack = [&] {
    if constexpr (std::is_same_v<Coordinate, uint16_t>)
      return kernel.pack(packet, width_, height_, events_.get() + end_);
    else
      return kernel.pack_wide(packet, width_, height_, events_.get() + end_);
  };
  if (packet.t[0] < newest_ || !pack() || !kernel.copy_times(packet.t, count, times_.get() + end_))
    return first_refused(packet);
  end_ += count;
  newest_ = packet.t[count - 1];
  let_go();
  return std::nullopt;
}

template std::optional<size_t> EventWindow::push(const EventPacket<uint16_t>&);
template std::optional<size_t> EventWindow::push(const EventPacket<uint64_t>&);

template <class Coordinate>
EventWindow::Inserted EventWindow::insert(const EventPacket<Coordinate>& packet, int64_t earliest,
                                          int64_t latest, int64_t useful_from) {
  const auto [t, x, y, p, count] = packet;
  Inserted result;
  if (count == 0) return result;
  if (t[0] >= std::max(earliest, useful_from) && t[count - 1] <= latest && !push(packet)) {
    result.in_order = count;
    return result;
  }
  std::vector<std::pair<int64_t, uint32_t>> taken;
  for (size_t i = 0; i < count; ++i) {
    if (t[i] < earliest || t[i] > latest)
      ++result.jumped;
    else if (!valid(packet, i))
      ++result.invalid;
    else if (t[i] <= let_go_until_ || t[i] < std::max(before(newest_, kept_us_), useful_from))
      ++result.too_late;
    else
      taken.emplace_back(t[i], packed(x[i], y[i], p[i]));
  }
  std::stable_sort(taken.begin(), taken.end(), [](auto& a, auto& b) { return a.first < b.first; });
  for (const auto& [time, event] : taken) ++(time < newest_ ? result.late : result.in_order);
  if (taken.empty()) return result;
  make_room(taken.size());
  const size_t place =
      std::upper_bound(times_.get() + begin_, times_.get() + end_, taken.front().first) - times_.get();
  const size_t sorted_end = end_;
  for (const auto& [time, event] : taken) {
    times_[end_] = time;
    events_[end_++] = event;
  }
  merge(place, sorted_end);
  newest_ = times_[end_ - 1];
  let_go();
  return result;
}

template EventWindow::Inserted EventWindow::insert(const EventPacket<uint16_t>&, int64_t, int64_t, int64_t);
template EventWindow::Inserted EventWindow::insert(const EventPacket<uint64_t>&, int64_t, int64_t, int64_t);

void EventWindow::merge(size_t begin, size_t middle) {
  if (begin == middle) return;
  std::vector<int64_t> times(times_.get() + begin, times_.get() + middle);
  std::vector<uint32_t> events(events_.get() + begin, events_.get() + middle);
  // The second run is never overtaken: what is written lies before what is still to be read of it.
  for (size_t to = begin, first = 0, second = middle; first < times.size(); ++to) {
    const bool from_second = second < end_ && times_[second] < times[first];
    times_[to] = from_second ? times_[second] : times[first];
    events_[to] = from_second ? events_[second++] : events[first++];
  }
}

template <class Coordinate>
bool EventWindow::valid(const EventPacket<Coordinate>& packet, size_t i) const {
  return (packet.x[i] < static_cast<Coordinate>(width_)) & (packet.y[i] < static_cast<Coordinate>(height_)) &
         (packet.p[i] <= 1);
}

uint32_t EventWindow::packed(uint64_t x, uint64_t y, uint8_t p) const {
  return (static_cast<uint32_t>(y) * static_cast<uint32_t>(width_) + static_cast<uint32_t>(x)) * 2 + p;
}

void EventWindow::make_room(size_t added) {
  if (end_ + added <= capacity_) return;
  const size_t live = end_ - begin_, needed = 2 * (live + added);
  // At least half is free then, so moving back stays rare; after a storm, what it took is given back.
  if (needed <= capacity_ && capacity_ <= std::max<size_t>(4 * needed, smallest_capacity)) {
    std::memmove(times_.get(), times_.get() + begin_, live * sizeof(int64_t));
    std::memmove(events_.get(), events_.get() + begin_, live * sizeof(uint32_t));
  } else {
    // With room to spare: else a steady camera's next few events more would ask for new memory, ever again.
    const size_t capacity = std::max<size_t>(needed + needed / 4, smallest_capacity);
    Pages<int64_t> times(capacity);
    Pages<uint32_t> events(capacity);
    std::copy_n(times_.get() + begin_, live, times.get());
    std::copy_n(events_.get() + begin_, live, events.get());
    times_ = std::move(times);
    events_ = std::move(events);
    capacity_ = capacity;
  }
  begin_ = 0;
  end_ = live;
}

void EventWindow::let_go() {
  const int64_t* times = times_.get();
  size_t kept = std::lower_bound(times + begin_, times + end_, before(newest_, kept_us_)) - times;
  if (end_ - kept > at_most_) kept = end_ - at_most_;
  if (kept == begin_) return;
  begin_ = kept;
  let_go_until_ = times[kept - 1];
}

EventWindow::Range EventWindow::range(int64_t end, int64_t window_us) const {
  if (window_us < 1) throw std::invalid_argument("a window is at least 1 microsecond long");
  const int64_t start = before(end, window_us);
  if (start < let_go_until_) throw std::out_of_range("events of this time were already let go");
  const int64_t* times = times_.get();
  const auto first = std::upper_bound(times + begin_, times + end_, start);
  const auto last = std::upper_bound(first, times + end_, end);
  return {static_cast<size_t>(first - times), static_cast<size_t>(last - times)};
}

size_t EventWindow::count(int64_t end, int64_t window_us) const {
  const Range events = range(end, window_us);
  return events.end - events.begin;
}

void EventWindow::render(int64_t end, int64_t window_us, uint8_t* image) {
  const Range range = this->range(end, window_us);
  const uint32_t* events = events_.get();
  const size_t pixels = static_cast<size_t>(width_) * height_;
  if (potentials_.empty()) {
    std::fill_n(image, pixels, grey_of(neutral_));
    for (size_t i = range.begin; i < range.end; ++i) {
      uint8_t& grey = image[events[i] >> 1];
      grey = grey_steps_[grey * 2 + (events[i] & 1)];
    }
  } else {
    std::fill(potentials_.begin(), potentials_.end(), neutral_);
    for (size_t i = range.begin; i < range.end; ++i) {
      float& potential = potentials_[events[i] >> 1];
      potential = moved(potential, events[i] & 1);
    }
    std::transform(potentials_.begin(), potentials_.end(), image, grey_of);
  }
}

}  // namespace canthus
