"""Literature that the report cites, by key."""

from __future__ import annotations

REFERENCES: dict[str, str] = {
    "alain2017": (
        "Alain G, Bengio Y. Understanding intermediate layers using linear classifier probes. International Conference "
        "on Learning Representations, workshop, 2017. arXiv:1610.01644"
    ),
    "mwaniki2023": (
        "Mwaniki P, Kamanu T, Akech S, Dunsmuir D, Ansermino JM, Eijkemans MJC. Using self-supervised feature "
        "learning to improve the use of pulse oximeter signals to predict paediatric hospitalization. Wellcome Open"
        " Res 2023; 6: 248. doi:10.12688/wellcomeopenres.17148.2"
    ),
    "he2022": (
        "He K, Chen X, Xie S, Li Y, Dollár P, Girshick R. Masked autoencoders are scalable vision learners. "
        "IEEE/CVF Conference on Computer Vision and Pattern Recognition 2022: 16000–9. "
        "doi:10.1109/CVPR52688.2022.01553"
    ),
    "he2016": (
        "He K, Zhang X, Ren S, Sun J. Deep residual learning for image recognition. IEEE Conference on Computer "
        "Vision and Pattern Recognition 2016: 770–8. doi:10.1109/CVPR.2016.90"
    ),
    "loshchilov2019": (
        "Loshchilov I, Hutter F. Decoupled weight decay regularization. International Conference on Learning "
        "Representations 2019. arXiv:1711.05101"
    ),
    "roy2007": (
        "Roy O, Vetterli M. The effective rank: a measure of effective dimensionality. European Signal Processing "
        "Conference 2007: 606–10."
    ),
    "elgendi2016": (
        "Elgendi M. Optimal signal quality index for photoplethysmogram signals. Bioengineering 2016; 3: 21. "
        "doi:10.3390/bioengineering3040021"
    ),
    "hanley1982": (
        "Hanley JA, McNeil BJ. The meaning and use of the area under a receiver operating characteristic (ROC) "
        "curve. Radiology 1982; 143: 29–36. doi:10.1148/radiology.143.1.7063747"
    ),
    "efron1993": (
        "Efron B, Tibshirani RJ. An introduction to the bootstrap. New York: Chapman & Hall, 1993. "
        "doi:10.1201/9780429246593"
    ),
    "austin2009": (
        "Austin PC. Balance diagnostics for comparing the distribution of baseline covariates between treatment "
        "groups in propensity-score matched samples. Stat Med 2009; 28: 3083–107. doi:10.1002/sim.3697"
    ),
    "collins2024": (
        "Collins GS, Moons KGM, Dhiman P, et al. TRIPOD+AI statement: updated guidance for reporting clinical "
        "prediction models that use regression or machine learning methods. BMJ 2024; 385: e078378. "
        "doi:10.1136/bmj-2023-078378"
    ),
    "szegedy2016": (
        "Szegedy C, Vanhoucke V, Ioffe S, Shlens J, Wojna Z. Rethinking the Inception architecture for computer "
        "vision. IEEE Conference on Computer Vision and Pattern Recognition 2016: 2818–26. "
        "doi:10.1109/CVPR.2016.308"
    ),
    "collins2016": (
        "Collins GS, Ogundimu EO, Altman DG. Sample size considerations for the external validation of a "
        "multivariable prognostic model: a resampling study. Stat Med 2016; 35: 214–26. doi:10.1002/sim.6787"
    ),
    "orphanidou2015": (
        "Orphanidou C, Bonnici T, Charlton P, Clifton D, Vallance D, Tarassenko L. Signal-quality indices for the "
        "electrocardiogram and photoplethysmogram: derivation and applications to wireless monitoring. IEEE J "
        "Biomed Health Inform 2015; 19: 832–8. doi:10.1109/JBHI.2014.2338351"
    ),
    "sukor2011": (
        "Sukor JA, Redmond SJ, Lovell NH. Signal quality measures for pulse oximetry through waveform morphology "
        "analysis. Physiol Meas 2011; 32: 369–84. doi:10.1088/0967-3334/32/3/008"
    ),
    "airola2011": (
        "Airola A, Pahikkala T, Waegeman W, De Baets B, Salakoski T. An experimental comparison of cross-validation"
        " techniques for estimating the area under the ROC curve. Comput Stat Data Anal 2011; 55: 1828–44. "
        "doi:10.1016/j.csda.2010.11.018"
    ),
    "boulesteix2017": (
        "Boulesteix AL, De Bin R, Jiang X, Fuchs M. IPF-LASSO: integrative L1-penalized regression with penalty "
        "factors for prediction based on multi-omics data. Comput Math Methods Med 2017; 2017: 7691937. "
        "doi:10.1155/2017/7691937"
    ),
    "liang2018": (
        "Liang Y, Elgendi M, Chen Z, Ward R. An optimal filter for short photoplethysmogram signals. Sci Data 2018;"
        " 5: 180076. doi:10.1038/sdata.2018.76"
    ),
    "chen2020": (
        "Chen T, Kornblith S, Norouzi M, Hinton G. A simple framework for contrastive learning of visual "
        "representations. International Conference on Machine Learning 2020: 1597–607. arXiv:2002.05709"
    ),
    "yeh2022": (
        "Yeh CH, Hong CY, Hsu YC, Liu TL, Chen Y, LeCun Y. Decoupled contrastive learning. European Conference on "
        "Computer Vision 2022. arXiv:2110.06848"
    ),
    "wang2018": (
        "Wang F, Cheng J, Liu W, Liu H. Additive margin softmax for face verification. IEEE Signal Process Lett 2018; "
        "25: 926–30. doi:10.1109/LSP.2018.2822810"
    ),
    "bardes2022": (
        "Bardes A, Ponce J, LeCun Y. VICReg: variance-invariance-covariance regularization for self-supervised "
        "learning. International Conference on Learning Representations 2022. arXiv:2105.04906"
    ),
    "saeed2019": (
        "Saeed A, Ozcelebi T, Lukkien J. Multi-task self-supervised learning for human activity detection. Proc ACM "
        "Interact Mob Wearable Ubiquitous Technol 2019; 3: 61. doi:10.1145/3328932"
    ),
    "yamamoto2020": (
        "Yamamoto R, Song E, Kim JM. Parallel WaveGAN: a fast waveform generation model based on generative "
        "adversarial networks with multi-resolution spectrogram. IEEE International Conference on Acoustics, Speech "
        "and Signal Processing 2020: 6199–203. arXiv:1910.11480"
    ),
    "lee2025": (
        "Lee J, Kang H. SDSC: a structure-aware metric for semantic signal representation learning. 2025. "
        "arXiv:2507.14516"
    ),
    "dosovitskiy2021": (
        "Dosovitskiy A, Beyer L, Kolesnikov A, et al. An image is worth 16x16 words: transformers for image "
        "recognition at scale. International Conference on Learning Representations 2021. arXiv:2010.11929"
    ),
    "huang2022": (
        "Huang Z, Jin X, Lu C, et al. Contrastive masked autoencoders are stronger vision learners. 2022. "
        "arXiv:2207.13532"
    ),
}
