/* What jpeglib.h and jmorecfg.h need to know of the build of libjpeg-turbo that is linked: the API and ABI of libjpeg 6b. */
#define JPEG_LIB_VERSION  62
#define D_ARITH_CODING_SUPPORTED  1
#define MEM_SRCDST_SUPPORTED  1
#define BITS_IN_JSAMPLE  8
