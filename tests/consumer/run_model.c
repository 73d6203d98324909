/* Runs a model on zeros and prints the largest output's index. */
#include <qrt.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char** argv) {
  qrt_error e = {.struct_size = sizeof e};
  qrt_model* model = NULL;
  qrt_session* session = NULL;
  qrt_tensor in, out;
  size_t top = 0;
  if (argc != 2 || qrt_model_open_file(argv[1], NULL, &model, &e) ||
      qrt_session_open(model, NULL, &session, &e) || qrt_session_input(session, 0, &in, &e) ||
      qrt_session_output(session, 0, &out, &e))
    return fprintf(stderr, "%s\n", e.message), 2;
  memset(in.data, 0, in.bytes);
  if (qrt_session_run(session, &e)) return fprintf(stderr, "%s\n", e.message), 2;
  const float* y = out.data;
  for (size_t i = 1; i < out.bytes / sizeof *y; ++i)
    if (y[i] > y[top]) top = i;
  printf("%zu\n", top);
  qrt_session_close(session);
  qrt_model_close(model);
  return 0;
}
